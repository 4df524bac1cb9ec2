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

export function addRoutes(server: FastifyInstance, options: RoutesOptions): void {
  const { ports, stopping } = options
  if (ports.events) addEventRoutes(server, { ...options, events: ports.events })

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
