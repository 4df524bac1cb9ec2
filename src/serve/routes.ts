import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { EvtError } from '../core/errors.ts'
import { answerOf, statusOf } from './answer.ts'
import type { Denials } from './denials.ts'
import { documents } from './documents.ts'
import { eventStream } from './event-stream.ts'
import type { HttpConfig } from './http-config.ts'
import type { HttpPorts } from './ports.ts'
import { HttpProblem } from './problem.ts'
import { createBodyReader } from './read-body.ts'
import { readEvents } from './read-events.ts'
import { createSharedPages } from './shared-pages.ts'
import { readStreamQuery } from './stream-query.ts'
import type { Access } from './token-cache.ts'

export interface RoutesOptions {
  readonly config: HttpConfig
  readonly ports: HttpPorts
  readonly isLive: (id: string) => Promise<boolean>
  readonly denials: Pick<Denials, 'note'>
  /** Aborted when the server begins to stop: streams end. */
  readonly stopping: AbortSignal
}

/** A commit that takes longer is no answer that anybody waits for. */
const commitMs = 30_000
const otherTypes = 'events of types that the token has not'
/** How often open streams look whether their token still stands. */
const recheckMs = 250

export function addRoutes(server: FastifyInstance, options: RoutesOptions): void {
  const { config, ports, stopping } = options
  const bodies = createBodyReader(config.bodyLimitBytes)
  const pages = createSharedPages(ports.log)
  const streams = new Map<AbortController, Access>()

  server.post('/events', { schema: documents.publish, config: { scopes: ['publish'] } }, async (request, reply) => {
    const body = await bodies.read(request.raw)
    try {
      const candidates = readEvents(headersOf(request), body, Date.now())
      const { mayType, who } = demandAccess(request)
      const outcomes = await within(ports.publish(candidates, mayType), commitMs)
      if (outcomes.some((one) => one.outcome === 'refused' && one.code === 'refused'))
        options.denials.note({ who, target: 'POST /events', reason: otherTypes })
      return await reply.code(statusOf(outcomes)).send(answerOf(outcomes))
    } finally {
      bodies.release(body)
    }
  })

  server.get('/events', { schema: documents.stream, config: { scopes: ['read'] } }, async (request, reply) => {
    if (streams.size >= config.maxStreams)
      throw new HttpProblem({
        status: 503,
        title: `there are ${config.maxStreams} streams already`,
        retryAfterSeconds: 5,
      })
    const ending = new AbortController()
    const access = demandAccess(request)
    // Counted from here on: what is asked of the store first takes its time.
    streams.set(ending, access)
    const over = () => {
      streams.delete(ending)
      ending.abort()
    }
    reply.raw.once('close', over)
    try {
      const given = { query: request.query as object, lastEventId: lastOf(request), access, nowMs: Date.now() }
      const query = await readStreamQuery({ ...given, query: { ...given.query } }, ports.log)
      const signal = AbortSignal.any([ending.signal, stopping])
      const { heartbeatMs } = config
      const texts = eventStream({ ...query, ...ports, access, pages, heartbeatMs, signal })
      return await sendStream(reply, texts)
    } catch (error) {
      over()
      if (error instanceof HttpProblem && error.problem.status === 403)
        options.denials.note({ who: access.who, target: 'GET /events', reason: otherTypes })
      throw error
    }
  })

  let isLooking = false
  const timer = setInterval(() => void endRevoked(), recheckMs)
  timer.unref()
  server.addHook('onClose', async () => clearInterval(timer))
  async function endRevoked(): Promise<void> {
    if (isLooking) return
    isLooking = true
    for (const [ending, { id }] of streams) {
      // A store that is away ends no stream: it sends nothing either.
      if (id === undefined || (await options.isLive(id).catch(() => true))) continue
      ending.abort(new EvtError('refused', 'the token was revoked, or has expired'))
    }
    isLooking = false
  }

  server.get('/healthz', { schema: documents.health }, async () => ({ status: 'ok' }))

  server.get('/readyz', { schema: documents.ready }, async (_, reply) => {
    const reasons = stopping.aborted ? ['this bridge stops'] : await ports.health()
    return reply
      .code(reasons.length === 0 ? 200 : 503)
      .send({ status: reasons.length === 0 ? 'ready' : 'not ready', reasons })
  })

  const seeing = { scopes: ['read', 'operate'] as const }
  server.get('/stats', { schema: documents.stats, config: seeing }, async () => ports.stats())

  server.get('/metrics', { schema: documents.metrics, config: seeing }, async (request, reply) => {
    const { accept } = request.headers
    const { format } = request.query as { readonly format?: string }
    const asked = { ...(accept === undefined ? {} : { accept }), ...(format === undefined ? {} : { format }) }
    const { contentType, text } = await ports.metrics(asked).catch((error: unknown) => {
      if (error instanceof EvtError && error.code === 'usage')
        throw new HttpProblem({ status: 400, title: error.message, hint: error.hint })
      throw error
    })
    return reply.header('content-type', contentType).send(text)
  })
}

function sendStream(reply: FastifyReply, texts: AsyncGenerator<string>): FastifyReply {
  return (
    reply
      .header('content-type', 'text/event-stream; charset=utf-8')
      .header('cache-control', 'no-store')
      // Proxies would hold it back.
      .header('x-accel-buffering', 'no')
      .send(Readable.from(texts, { objectMode: true, highWaterMark: 1 }))
  )
}

/** Names in lower case, as Node has them; a header that came twice is one text. */
function headersOf({ headers }: FastifyRequest): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : String(value)]),
  )
}

const lastOf = ({ headers }: FastifyRequest): string | undefined => [headers['last-event-id']].flat()[0]

function demandAccess({ access }: FastifyRequest): Access {
  if (access) return access
  throw new EvtError('internal', 'cannot answer: nobody asked who is asking')
}

async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new EvtError('timeout', 'cannot say whether it was stored: the store does not answer')),
      ms,
    )
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
