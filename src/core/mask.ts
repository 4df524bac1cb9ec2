import { maxDataDepth } from './event.ts'

const hidden = '***'
const secretKeys = new Set([
  'password',
  'passwd',
  'pwd',
  'sslpassword',
  'secret',
  'token',
  'access_token',
  'api_key',
  'apikey',
])

/**
 * A URL or libpq connection string with its passwords shown as `***` and everything else as it was: `user:password@`
 * (also before several hosts, and with characters in it that should have been escaped), `?password=` and its like,
 * `password='…'`. Other text is searched for the same forms. Where a malformed URL is ambiguous, too much is hidden
 * rather than too little. Never throws.
 */
export function redactUrl(url: string): string {
  const text = String(url)
  // A whole URL may hold spaces in its password; in a sentence it ends at the first one.
  if (/^\s*[a-z][a-z0-9+.-]*:\/\//i.test(text)) return redactOneUrl(text)
  return redactPairs(text.replace(/\b[a-z][a-z0-9+.-]{0,40}:\/\/\S*/gi, redactOneUrl))
}

/**
 * A copy of `data` in which the values at `paths` are `***`. A path is dotted (`user.email`); an array on the way is
 * entered at the named index, or at every element where the path names none. `data` itself is never changed. What lies
 * in more arrays than `maxDataDepth` is `***` as a whole: nothing that can be published does.
 */
export function maskFields(data: unknown, paths: readonly string[]): unknown {
  return paths.reduce<unknown>((masked, path) => maskedAt(masked, path.split('.'), 0), data)
}

function redactOneUrl(url: string): string {
  const start = url.indexOf('://') + 3
  const queryAt = firstOf(url, '?#', passwordEnd(url, start))
  const rest = redactUserInfo(url.slice(start, queryAt))
  return url.slice(0, start) + rest + redactQuery(url.slice(queryAt))
}

/** Where the credentials end: at the last `@` before the query, or later when what stands before is no host. */
function passwordEnd(url: string, start: number): number {
  const end = firstOf(url, '?#', start)
  const at = url.lastIndexOf('@', end - 1)
  if (at >= start) {
    // No query has an `@` without a name and `=` before it: a password with `?` or `#` in it does.
    const later = url.lastIndexOf('@')
    return later > end && url.includes(':', start) && !url.slice(end, later).includes('=') ? later : at
  }
  const hosts = url.slice(start, firstOf(url, '/?#', start))
  return /:(?!\d{0,5}(?:,|$))/.test(hosts.replace(/\[[^\]]*\]/g, '')) ? Math.max(url.lastIndexOf('@'), start) : start
}

function redactUserInfo(rest: string): string {
  const at = rest.lastIndexOf('@')
  const colon = rest.indexOf(':')
  if (at < 0 || colon < 0 || colon > at) return rest
  const hosts = rest.slice(0, firstOf(rest, '/', 0))
  // `h:9092/topic@x`: a port and a path, not a password, unless another port follows.
  const portAfter = /^[^/:]*:\d/.test(rest.slice(at + 1))
  if (!hosts.includes('@') && /:\d{1,5}$/.test(hosts) && !portAfter) return rest
  return `${rest.slice(0, colon + 1)}${hidden}${rest.slice(at)}`
}

function redactQuery(query: string): string {
  return query.replace(/([?&;#])([^=&;#]*)=([^&#]*)/g, (pair, before: string, key: string) =>
    secretKeys.has(decoded(key).toLowerCase()) ? `${before}${key}=${hidden}` : pair,
  )
}

function redactPairs(text: string): string {
  return text.replace(
    /(?<![a-z_])([a-z_]+)(\s*=\s*)('(?:[^'\\]|\\.)*'?(?:[^\s\\]|\\.)*|(?:[^\s\\]|\\.)+)/gi,
    (pair, key: string, equals: string) => (secretKeys.has(key.toLowerCase()) ? `${key}${equals}${hidden}` : pair),
  )
}

function firstOf(text: string, stops: string, from: number): number {
  for (let i = from; i < text.length; i++) if (stops.includes(text[i] ?? '')) return i
  return text.length
}

function decoded(key: string): string {
  try {
    return decodeURIComponent(key)
  } catch {
    return key
  }
}

function maskedAt(value: unknown, path: readonly string[], depth: number): unknown {
  const [key, ...rest] = path
  if (key === undefined || depth > maxDataDepth) return hidden
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    if (/^\d+$/.test(key)) return value.map((item, i) => (i === Number(key) ? maskedAt(item, rest, depth + 1) : item))
    return value.map((item) => maskedAt(item, path, depth + 1))
  }
  if (!Object.hasOwn(value, key)) return value
  // Spread and defineProperty treat a key named __proto__ as data; assignment would not.
  const copy = { ...value }
  const inner = maskedAt((value as Record<string, unknown>)[key], rest, depth + 1)
  return Object.defineProperty(copy, key, { value: inner, enumerable: true, configurable: true, writable: true })
}
