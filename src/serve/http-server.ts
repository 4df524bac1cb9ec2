import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { EvtError, toError } from '../core/errors.ts'
import { addAccess } from './access.ts'
import { createDenials } from './denials.ts'
import { type HttpConfig, isLoopback } from './http-config.ts'
import type { HttpPorts } from './ports.ts'
import { HttpProblem, type Problem, sendProblem } from './problem.ts'
import { addRoutes } from './routes.ts'
import { type Certificate, readCertificate, watchCertificate } from './tls.ts'
import { createTokenCache } from './token-cache.ts'

export interface HttpServer {
  readonly url: string
  /**
   * Takes no new connection, ends streams with a word, lets requests finish within the grace and cuts what is left. What was answered is
   * committed. Idempotent.
   */
  close(graceMs: number): Promise<void>
}

/** Throws `refused` for an address that others can reach while there is no token, `config` for a port or a certificate that cannot be used. */
export async function openHttpServer(config: HttpConfig, ports: HttpPorts): Promise<HttpServer> {
  const { report } = ports
  const onError = (error: unknown) => report.error('something fails under HTTP', { error: toError(error).message })
  const tokens = createTokenCache(ports.tokens, onError)
  const denials = createDenials(ports.denied, onError)
  const stopping = new AbortController()
  try {
    if (config.needsToken && !(await tokens.any())) throw noToken(config)
    const certificate = config.tls && (await readCertificate(config.tls))
    const server = createFastify(config, certificate)
    // Before the routes: they take it from their server as it is then.
    answerErrors(server, ports)
    await server.register(rateLimit, { global: false })
    await server.register(swagger, { openapi: describe(ports.version) })
    await server.register(async (own) => {
      addAccess(own, { config, tokens, denials })
      addRoutes(own, { config, ports, denials, isLive: (id) => tokens.isLive(id), stopping: stopping.signal })
    })
    server.get('/openapi.json', { schema: { hide: true } as object }, async () => server.swagger())
    const url = await listen(server, config)
    const unwatch =
      config.tls &&
      watchCertificate(config.tls, (next) => (server.server as Server).setSecureContext(next), { onError })
    let closing: Promise<void> | undefined
    const closeAll = async (graceMs: number): Promise<void> => {
      unwatch?.()
      stopping.abort()
      const timer = setTimeout(() => server.server.closeAllConnections(), graceMs)
      await server.close().finally(() => clearTimeout(timer))
      await Promise.all([tokens.close(), denials.close()])
    }
    return {
      url,
      close(graceMs) {
        closing ??= closeAll(graceMs)
        return closing
      },
    }
  } catch (error) {
    await Promise.all([tokens.close(), denials.close()])
    throw error
  }
}

function createFastify(config: HttpConfig, certificate: Certificate | undefined): FastifyInstance {
  // Node looks for late requests at this interval only.
  const checkedEvery = Math.max(50, Math.min(1_000, config.headersTimeoutMs / 4))
  const times = { headersTimeout: config.headersTimeoutMs, connectionsCheckingInterval: checkedEvery }
  const shared = {
    logger: false,
    requestTimeout: config.requestTimeoutMs,
    connectionTimeout: config.idleTimeoutMs,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    exposeHeadRoutes: false,
  } as const
  const server = (
    certificate ? fastify({ ...shared, https: { ...certificate, ...times } }) : fastify({ ...shared, http: times })
  ) as FastifyInstance
  server.server.maxConnections = config.maxConnections
  server.setValidatorCompiler(() => () => true)
  server.setSerializerCompiler(() => (value) => JSON.stringify(value))
  // Bodies are read where their limit is known, as they come.
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', (_request, _payload, done) => done(null))
  return server
}

const noEvents = {
  title: 'this process serves no events: it has not the role http',
  hint: 'ask one that was started without --only, or with --only http',
}
/** Of all routes. */
const methods = ['GET', 'POST'] as const

function answerErrors(server: FastifyInstance, { report, events }: HttpPorts): void {
  server.setNotFoundHandler((request, reply) => {
    const hint = 'GET /openapi.json says what there is'
    const [url = ''] = request.url.split('?')
    const allowed = methods.filter((method) => server.hasRoute({ url, method }))
    if (url === '/events' && !events) return sendProblem(reply, { status: 404, ...noEvents })
    if (allowed.length === 0) return sendProblem(reply, { status: 404, title: 'there is nothing here', hint })
    const title = `there is no ${request.method} here, only ${allowed.join(' and ')}`
    return sendProblem(reply.header('allow', allowed.join(', ')), { status: 405, title, hint })
  })
  server.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error)
    const { status } = problem
    // Neither query nor body: who knows what is in them.
    if (status >= 500 && !(error instanceof HttpProblem))
      report.error('a request failed', {
        route: `${request.method} ${request.routeOptions.url}`,
        error: toError(error).message,
      })
    return sendProblem(endAfter(status, reply), problem)
  })
}

/** The rest of a body that was not read is not waited for. */
const endAfter = (status: number, reply: FastifyReply) =>
  status === 413 || status >= 500 ? reply.header('connection', 'close') : reply

function problemOf(error: unknown): Problem {
  if (error instanceof HttpProblem) return error.problem
  if (error instanceof EvtError) {
    if (error.code === 'timeout')
      return {
        status: 503,
        title: error.message,
        hint: 'send it again under the same ids: what is there is not stored twice',
        retryAfterSeconds: 5,
      }
    if (error.code === 'connect' || error.code === 'closed')
      return { status: 503, title: 'the store is away', hint: 'send it again under the same ids', retryAfterSeconds: 2 }
  }
  const { statusCode } = error as { readonly statusCode?: unknown }
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return { status: statusCode, title: toError(error).message }
  return { status: 500, title: 'this is a defect of evt, or of its store; its log says more' }
}

async function listen(server: FastifyInstance, { host, port, tls }: HttpConfig): Promise<string> {
  const shown = (at: number) => `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${at}`
  try {
    await server.listen({ host, port })
    return shown((server.server.address() as AddressInfo).port)
  } catch (error) {
    await server.close().catch(() => {})
    const { code } = error as { readonly code?: unknown }
    const hint =
      code === 'EADDRINUSE' ? 'another process has that port; name another one with --http, or --http off' : undefined
    throw new EvtError('config', `cannot serve ${shown(port)}: ${toError(error).message}`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    })
  }
}

const noToken = ({ host }: HttpConfig) =>
  new EvtError('refused', `cannot serve HTTP on ${host}: every request needs a token there, and there is none`, {
    hint: `make one first: evt token create --scope publish,read --name first; or ${isLoopback(host) ? 'leave out requireToken' : 'serve on 127.0.0.1'}`,
  })

const describe = (version: string) => ({
  openapi: '3.0.3' as const,
  info: { title: 'evt', description: 'An event bridge: publish, follow, look.', version },
  components: { securitySchemes: { bearer: { type: 'http' as const, scheme: 'bearer' } } },
})
