import { setTimeout as delay } from 'node:timers/promises'
import { EvtError, toError } from '../core/errors.ts'
import { whatAnswers } from '../transports/what-answers.ts'
import type { Place } from './errors.ts'

/** By then PostgreSQL has answered as a rule; another protocol may be silent for ever. */
const patienceMs = 800

/**
 * What `connecting` comes to. Where that takes long or fails without a word of PostgreSQL, asks what else it is that answers at the port:
 * then throws `connect` with its name.
 */
export async function recognized<T>(connecting: Promise<T>, place: Place): Promise<T> {
  const late = new AbortController()
  const isSlow = delay(patienceMs, 'slow' as const, { signal: late.signal }).catch(() => 'slow' as const)
  try {
    const first = await Promise.race([connecting, isSlow])
    if (first !== 'slow') return first as T
  } catch (error) {
    throw (isMute(error) ? await another(place, error) : undefined) ?? error
  } finally {
    late.abort()
  }
  const asked = another(place, undefined).then((found) => {
    if (found) throw found
    return connecting
  })
  return Promise.race([connecting, asked])
}

/** Neither an SQLSTATE nor an answer of the network. */
const isMute = (error: unknown): boolean => {
  const { code } = toError(error) as { readonly code?: unknown }
  return code === undefined || code === 'ECONNRESET' || code === 'EPIPE' || code === 'EPROTO'
}

async function another({ url, host }: Place, cause: unknown): Promise<EvtError | undefined> {
  const [, name, port = '5432'] = /^(\[[^\]]+\]|[^:,]+)(?::(\d+))?$/.exec(host) ?? []
  if (name === undefined) return undefined
  const found = await whatAnswers(name.replace(/^\[|\]$/g, ''), Number(port))
  if (found === undefined || found === 'PostgreSQL') return undefined
  // PostgreSQL may begin with TLS too: only who has failed knows that it does not.
  if (found === 'TLS' && cause === undefined) return undefined
  return new EvtError('connect', `cannot connect to ${url}: at ${host}, it looks like ${found}`, {
    hint: `check host and port: PostgreSQL listens at 5432 as a rule; ${found} is no store`,
    ...(cause === undefined ? {} : { cause }),
  })
}
