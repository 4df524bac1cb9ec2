import type { FastifyInstance } from 'fastify'
import { EvtError } from '../core/errors.ts'
import type { Denials } from './denials.ts'
import { documents } from './documents.ts'
import { addEventRoutes } from './event-routes.ts'
import type { HttpConfig } from './http-config.ts'
import type { HttpPorts } from './ports.ts'
import { HttpProblem } from './problem.ts'

export interface RoutesOptions {
  readonly config: HttpConfig
  readonly ports: HttpPorts
  readonly isLive: (id: string) => Promise<boolean>
  readonly denials: Pick<Denials, 'note'>
  /** Aborted when the server begins to stop: streams end. */
  readonly stopping: AbortSignal
}

/** However many ask, with or without a token: the store is asked once in that time. */
const readyMs = 1_000

export function addRoutes(server: FastifyInstance, options: RoutesOptions): void {
  const { ports, stopping } = options
  const health = sharedFor(readyMs, () => ports.health())
  if (ports.events) addEventRoutes(server, { ...options, events: ports.events })

  server.get('/healthz', { schema: documents.health }, async () => ({ status: 'ok' }))

  server.get('/readyz', { schema: documents.ready }, async (_, reply) => {
    const reasons = stopping.aborted ? ['this bridge stops'] : await health()
    return reply
      .code(reasons.length === 0 ? 200 : 503)
      .send({ status: reasons.length === 0 ? 'ready' : 'not ready', reasons })
  })

  const seeing = { scopes: ['read', 'operate'] as const, ofAllTypes: true }
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

/** One answer for all who ask within `ms`, or while it is on its way. */
function sharedFor<T>(ms: number, ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined
  let until = 0
  return () => {
    if (answer && performance.now() < until) return answer
    const asked = ask()
    const keep = () => {
      until = performance.now() + ms
    }
    answer = asked
    until = Number.POSITIVE_INFINITY
    asked.then(keep, keep)
    return asked
  }
}
