import { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { TokenScope } from '../store/tokens.ts'
import type { Denials } from './denials.ts'
import { type HttpConfig, isLoopback } from './http-config.ts'
import { type Problem, sendProblem } from './problem.ts'
import { type Access, localAccess, type TokenCache } from './token-cache.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** One of them is enough. Absent: everybody may. */
    readonly scopes?: readonly TokenScope[]
    /** It tells of every type: a token that has only some of them needs the scope `operate`. */
    readonly ofAllTypes?: boolean
  }
  interface FastifyRequest {
    /** Set where the route asks for scopes. */
    access: Access | undefined
  }
}

export interface AccessOptions {
  readonly config: HttpConfig
  readonly tokens: TokenCache
  readonly denials: Denials
}

/**
 * Before a body is read: who asks, how often, and whether they may. Whoever is refused is counted like everybody, by address, so that
 * guessing tokens has the same limit.
 */
export function addAccess(server: FastifyInstance, { config, tokens, denials }: AccessOptions): void {
  server.decorateRequest('access', undefined)
  const limit = server.createRateLimit({
    max: config.rate.requests,
    timeWindow: config.rate.windowMs,
    keyGenerator: ({ access, ip }) => (access?.id === undefined ? `address ${normalizeIP(ip)}` : `token ${access.id}`),
  })

  server.addHook('onRequest', async (request, reply) => {
    const { scopes, ofAllTypes } = request.routeOptions.config
    if (!scopes) return
    const found = await accessOf(request, { config, tokens })
    request.access = 'who' in found ? found : undefined
    const used = await limit(request)
    if (!used.isAllowed && used.isExceeded) {
      const retryAfterSeconds = Math.max(1, used.ttlInSeconds)
      const title = `more than ${config.rate.requests} requests in ${config.rate.windowMs} ms`
      return sendProblem(reply, {
        status: 429,
        title,
        hint: 'send batches, and wait as Retry-After says',
        retryAfterSeconds,
      })
    }
    if ('status' in found) return deny(request, reply, { problem: found, who: `address ${request.ip}` })
    const isAllowed = scopes.some((scope) => found.may(scope))
    if (isAllowed && ofAllTypes && !found.mayAll && !found.may('operate')) {
      const title = `this tells of every type, and this token has only ${found.types.join(', ')}`
      const hint = "make one that may: evt token create --scope operate; or --scope read --types '*'"
      return deny(request, reply, { problem: { status: 403, title, hint }, who: found.who })
    }
    if (isAllowed) return
    const title = `this token may not ${scopes.join(' or ')}`
    const hint = `make one that may: evt token create --scope ${scopes[0]}`
    return deny(request, reply, { problem: { status: 403, title, hint }, who: found.who })
  })

  function deny(
    { method, routeOptions }: FastifyRequest,
    reply: FastifyReply,
    { problem, who }: { readonly problem: Problem; readonly who: string },
  ): FastifyReply {
    denials.note({ who, target: `${method} ${routeOptions.url}`, reason: problem.title })
    // What it goes on sending is of no interest.
    return sendProblem(reply.header('connection', 'close'), problem)
  }
}

async function accessOf(
  { headers, ip, host }: FastifyRequest,
  { config, tokens }: Pick<AccessOptions, 'config' | 'tokens'>,
): Promise<Access | Problem> {
  const { authorization } = headers
  if (authorization !== undefined) {
    const presented = /^Bearer +([\w.~+/-]{1,512}=*)$/i.exec(authorization)?.[1]
    const found = presented === undefined ? undefined : await tokens.find(presented)
    return found ?? { status: 401, title: 'this token is unknown, expired or revoked', hint: 'see evt token list' }
  }
  if (config.needsToken)
    return {
      status: 401,
      title: 'a token is missing',
      hint: 'make one with evt token create, and send it as: Authorization: Bearer evt_…',
    }
  // A web page may not reach this machine by a name of its own that points here.
  if (isLoopback(nameIn(host))) return localAccess(ip)
  return {
    status: 403,
    title: 'without a token, only the names of this machine are answered',
    hint: 'ask for localhost or 127.0.0.1, or send a token',
  }
}

const nameIn = (host: string): string => host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
