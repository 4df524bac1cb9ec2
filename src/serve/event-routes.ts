import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { EvtError } from '../core/errors.ts'
import { answerOf, statusOf } from './answer.ts'
import { documents } from './documents.ts'
import { eventStream } from './event-stream.ts'
import type { EventPorts } from './ports.ts'
import { HttpProblem } from './problem.ts'
import { createBodyReader } from './read-body.ts'
import { readEvents } from './read-events.ts'
import type { RoutesOptions } from './routes.ts'
import { createSharedPages } from './shared-pages.ts'
import { readStreamQuery } from './stream-query.ts'
import type { Access } from './token-cache.ts'

/** A commit that takes longer is no answer that anybody waits for. */
const commitMs = 30_000
const otherTypes = 'events of types that the token has not'
/** How often open streams look whether their token still stands. */
const recheckMs = 250

/** `POST /events` and `GET /events`. */
export function addEventRoutes(
  server: FastifyInstance,
  options: RoutesOptions & { readonly events: EventPorts },
): void {
  const { config, ports, events, stopping } = options
  const bodies = createBodyReader(config.bodyLimitBytes)
  const pages = createSharedPages(events.log)
  const streams = new Map<AbortController, Access>()

  server.post('/events', { schema: documents.publish, config: { scopes: ['publish'] } }, async (request, reply) => {
    const body = await bodies.read(request.raw)
    try {
      const candidates = readEvents(headersOf(request), body, Date.now())
      const { mayType, who } = demandAccess(request)
      const outcomes = await within(events.publish(candidates, mayType), commitMs)
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
      const query = await readStreamQuery({ ...given, query: { ...given.query } }, events.log)
      const signal = AbortSignal.any([ending.signal, stopping])
      const { heartbeatMs } = config
      const texts = eventStream({
        ...query,
        log: events.log,
        masker: ports.masker,
        access,
        pages,
        heartbeatMs,
        signal,
      })
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
