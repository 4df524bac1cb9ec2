import { maxDataDepth } from './event.ts'

const hidden = '***'
const isSecretKey = (key: string) => /(?:password|passwd|passphrase|pwd|secret|token|api_?key)$/i.test(key)
/** URLs in values of URLs; what is deeper is hidden as a whole. */
const maxNested = 4

/**
 * A URL or libpq connection string with its passwords shown as `***` and everything else as it was: `user:password@`
 * (also before several hosts), `?password=` and its like, `?at=` a URL with one (escaped or not), `password='…'`. Other text is searched for the same forms. Of a URL in
 * which a password may end too early, at a `/`, `?` or `#` that should have been escaped, only the scheme is shown. Never throws.
 */
export function redactUrl(url: string): string {
  return redactNested(String(url), 0)
}

/** False for a URL whose password may have ended too early: what a parser finds in it as host and path may be a part of that. */
export function readsAsMeant(url: string): boolean {
  return !wholeUrl.test(url) || partsOf(url) !== undefined
}

/**
 * A copy of `data` in which the values at `paths` are `***`. A path is dotted (`user.email`); an array on the way is
 * entered at the named index, or at every element where the path names none. `data` itself is never changed. What lies
 * in more arrays than `maxDataDepth` is `***` as a whole: nothing that can be published does.
 */
export function maskFields(data: unknown, paths: readonly string[]): unknown {
  return paths.reduce<unknown>((masked, path) => maskedAt(masked, path.split('.'), 0), data)
}

const wholeUrl = /^\s*[a-z][a-z0-9+.-]*:\/\//i

function redactNested(text: string, depth: number): string {
  // A whole URL may hold spaces in its password; in a sentence it ends at the first one.
  if (wholeUrl.test(text)) return redactOneUrl(text, depth)
  return redactPairs(text.replace(/\b[a-z][a-z0-9+.-]{0,40}:\/\/\S*/gi, (found) => redactInText(found, depth)))
}

/** A sentence goes on after it: `cannot use redis://h:6379: refused`. */
function redactInText(found: string, depth: number): string {
  const url = found.replace(/[:;,.)'"]+$/, '')
  return redactOneUrl(url, depth) + found.slice(url.length)
}

function redactOneUrl(url: string, depth: number): string {
  const parts = partsOf(url)
  if (!parts) return `${url.slice(0, url.indexOf('://'))}://${hidden}`
  return parts.scheme + redactUserInfo(parts.authority) + redactQuery(parts.rest, depth)
}

interface UrlParts {
  /** With `://`. */
  readonly scheme: string
  readonly authority: string
  readonly rest: string
}

function partsOf(url: string): UrlParts | undefined {
  const start = url.indexOf('://') + 3
  const end = firstOf(url, '/?#', start)
  const parts = { scheme: url.slice(0, start), authority: url.slice(start, end), rest: url.slice(end) }
  return mayBeCutOff(parts) ? undefined : parts
}

/** What stands for a port is none, or an `@` comes where only a password that began before it could have one. */
function mayBeCutOff({ authority, rest }: UrlParts): boolean {
  const withoutIp6 = authority.replace(/\[[^\]]*\]/g, '')
  const hosts = withoutIp6.slice(withoutIp6.lastIndexOf('@') + 1)
  if (/:(?!\d{0,5}(?:,|$))/.test(hosts)) return true
  if (!rest.includes('@') || !withoutIp6.includes(':') || authority.startsWith('[')) return false
  // `h:6379/0?pubsub=user@x`: a path, and a value with a name.
  return authority.includes('@') || !/^\/[^@?#]*\?[^@#]*=/.test(rest)
}

function redactUserInfo(authority: string): string {
  const at = authority.lastIndexOf('@')
  const colon = authority.indexOf(':')
  if (at < 0 || colon < 0 || colon > at) return authority
  return `${authority.slice(0, colon + 1)}${hidden}${authority.slice(at)}`
}

function redactQuery(query: string, depth: number): string {
  const end = endOfReadable(query)
  const shown = query.slice(0, end).replace(/([?&;#])([^=&;#]*)=([^&#]*)/g, (_, before: string, key: string, value) => {
    return `${before}${key}=${isSecretKey(decoded(key)) ? hidden : redactValue(value, depth + 1)}`
  })
  return end < query.length ? shown + hidden : shown
}

function redactValue(value: string, depth: number): string {
  if (!decoded(value).includes('://')) return value
  if (depth > maxNested) return hidden
  const asWritten = redactNested(value, depth)
  // Who reads it decodes it first, and finds a `:` that was escaped.
  const plain = decoded(asWritten)
  const shown = redactNested(plain, depth)
  return shown === plain ? asWritten : encodeURIComponent(shown.toWellFormed())
}

/** What is behind may belong to the password of a URL in a value, which ended at an `&` or `#` that should have been escaped. */
function endOfReadable(query: string): number {
  const goesOn = /[&#][^=@]*@/y
  for (const { 0: pair, 1: url = '', 2: inside = '', index } of query.matchAll(
    /[?&;#][^=&;#]*=([a-z][a-z0-9+.-]*:\/\/([^&#]*))/gi,
  )) {
    const end = index + pair.length
    goesOn.lastIndex = end
    if (!readsAsMeant(url) || (inside.includes(':') && goesOn.test(query))) return end - inside.length
  }
  return query.length
}

function redactPairs(text: string): string {
  return text.replace(
    /(?<![a-z_])([a-z_]+)(\s*=\s*)('(?:[^'\\]|\\.)*'?(?:[^\s\\]|\\.)*|(?:[^\s\\]|\\.)+)/gi,
    (pair, key: string, equals: string) => (isSecretKey(key) ? `${key}${equals}${hidden}` : pair),
  )
}

function firstOf(text: string, stops: string, from: number): number {
  for (let i = from; i < text.length; i++) if (stops.includes(text[i] ?? '')) return i
  return text.length
}

/** As far as it is ASCII: one wrong escape leaves the others as they are. */
function decoded(text: string): string {
  return text.replace(/%[0-7][0-9a-f]/gi, (escaped) => String.fromCharCode(Number.parseInt(escaped.slice(1), 16)))
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
