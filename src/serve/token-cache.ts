import { timingSafeEqual } from 'node:crypto'
import { EvtError, toError } from '../core/errors.ts'
import { compilePatterns, type Pattern } from '../core/pattern.ts'
import { hashOfToken, type LiveToken, type TokenScope } from '../store/tokens.ts'
import type { HttpPorts } from './ports.ts'

/** Who asks. */
export interface Access {
  /** Of the token; undefined for somebody of this machine without one. */
  readonly id: string | undefined
  /** For the audit log and limits: `token ci`, `address 127.0.0.1`. */
  readonly who: string
  may(scope: TokenScope): boolean
  mayType(type: string): boolean
  /** Of every type. */
  readonly mayAll: boolean
  /** As given, for messages. */
  readonly types: readonly string[]
}

export interface TokenCache {
  /** Undefined for what is no token, or none any more. At most `staleMs` behind the store. Throws what the store throws. */
  find(presented: string): Promise<Access | undefined>
  /** False when it was revoked or has expired since. Throws what the store throws. */
  isLive(id: string): Promise<boolean>
  any(): Promise<boolean>
  close(): Promise<void>
}

/** A revoked token opens nothing after twice this time, in any bridge. */
const staleMs = 400
/** `last used` is behind by no more. */
const noteEveryMs = 5_000
/** Of the hash: what it is looked up by. The rest is compared in constant time. */
const prefixLength = 16

interface Known {
  readonly token: LiveToken
  readonly access: Access
}

/** All live tokens in memory: whoever guesses costs the store nothing. */
export function createTokenCache(tokens: HttpPorts['tokens'], onError: (error: unknown) => void): TokenCache {
  let byPrefix: ReadonlyMap<string, readonly Known[]> = new Map()
  let readAt = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | undefined
  let used = new Set<string>()
  const unreadable = new Set<string>()
  let noting: Promise<void> = Promise.resolve()
  const timer = setInterval(() => note(), noteEveryMs)
  timer.unref()

  function note(): void {
    if (used.size === 0) return
    const ids = [...used]
    used = new Set()
    noting = tokens.used(ids).catch(onError)
  }

  async function read(): Promise<void> {
    const startedAt = performance.now()
    const live = await tokens.live()
    const known = live.flatMap((token) => knownOf(token) ?? [])
    byPrefix = Map.groupBy(known, ({ token }) => token.hash.slice(0, prefixLength))
    readAt = startedAt
  }

  /** Undefined, and told once, for one that somebody wrote into the table and nobody can read: it opens nothing, and shuts nobody out. */
  function knownOf(token: LiveToken): Known | undefined {
    try {
      return { token, access: accessOf(token) }
    } catch (error) {
      if (!unreadable.has(token.id))
        onError(new EvtError('config', `cannot use token ${token.name}: ${toError(error).message}`, { cause: error }))
      unreadable.add(token.id)
      return undefined
    }
  }

  async function fresh(): Promise<void> {
    if (performance.now() - readAt < staleMs) return
    reading ??= read().finally(() => {
      reading = undefined
    })
    await reading
  }

  const isOver = ({ token }: Known) => token.expiresMs !== undefined && performance.now() >= token.expiresMs
  const all = () => [...byPrefix.values()].flat()
  return {
    async find(presented) {
      await fresh()
      const hash = hashOfToken(presented)
      const found = byPrefix.get(hash.slice(0, prefixLength))?.find(({ token }) => isSame(token.hash, hash))
      if (!found || isOver(found)) return undefined
      used.add(found.token.id)
      return found.access
    },
    async isLive(id) {
      await fresh()
      return all().some((known) => known.token.id === id && !isOver(known))
    },
    async any() {
      await fresh()
      return byPrefix.size > 0
    },
    async close() {
      clearInterval(timer)
      note()
      await noting
    },
  }
}

const isSame = (one: string, other: string) => timingSafeEqual(Buffer.from(one), Buffer.from(other))

function accessOf({ id, name, scopes, types }: LiveToken): Access {
  const pattern: Pattern = compilePatterns(types)
  return {
    id,
    who: `token ${name}`,
    types,
    may: (scope) => scopes.includes(scope),
    mayType: (type) => pattern.matches(type),
    mayAll: types.includes('*'),
  }
}

/** Somebody of this machine, where no token is asked for. */
export const localAccess = (address: string): Access => ({
  id: undefined,
  who: `address ${address}`,
  types: ['*'],
  may: () => true,
  mayType: () => true,
  mayAll: true,
})
