import { parseDuration } from '../../core/duration.ts'
import { EvtError } from '../../core/errors.ts'
import { redactUrl } from '../../core/mask.ts'
import { parseCount } from '../../core/quantity.ts'
import type { RedisPlace } from './errors.ts'

export interface RedisNode {
  readonly host: string
  readonly port: number
}

/** Settled entries that stay in a stream: so many of each lane, or for so long. */
export type Retain = { readonly entries: number } | { readonly ms: number }

export interface RedisOptions {
  readonly place: RedisPlace
  readonly nodes: readonly RedisNode[]
  /** Files of PEM; `verify: false` takes any certificate. Undefined without TLS. */
  readonly tls:
    | { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly verify: boolean }
    | undefined
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
  /** Undefined: the server is asked. */
  readonly cluster: boolean | undefined
  /** Streams and globs of streams. */
  readonly streams: readonly string[]
  /** Pub/Sub channels and patterns; with them the transport can only observe. */
  readonly channels: readonly string[]
  /** How long `publish` remembers message ids at least; 0 for not at all. */
  readonly windowMs: number
  readonly retain: Retain
  /** Each published message is PUBLISHed too, on this and its type. */
  readonly broadcast: string | undefined
  /** How long a lane that hears its bell waits before it looks by itself. */
  readonly lookMs: number
}

const defaultWindowMs = 10 * 60_000
const defaultLookMs = 2_000
const defaultRetain: Retain = { entries: 10_000 }

const known: Readonly<Record<string, string>> = {
  stream: 'streams to follow, with globs, comma-separated',
  pubsub: 'channels to follow, with globs, comma-separated',
  cluster: 'true or false; asked of the server by default',
  window: 'how long publishing remembers message ids, 10m by default, 0 for not at all',
  retain: 'settled entries to keep of each lane: 10k by default, or for how long: 1h',
  look: 'how long a reader waits to be woken before it looks by itself, 2s by default',
  broadcast: 'prefix of channels on which each message is PUBLISHed too',
  ca: 'file of PEM with who signed the server’s certificate; rediss:// only, as the next three',
  cert: 'file of PEM with our own certificate',
  certkey: 'file of PEM with its key',
  verify: 'false takes any certificate',
}

/**
 * `redis://[user:password@]host[:port][,host:port…][/database][?stream=…]`, `rediss://` for TLS. Throws `usage` for what cannot be
 * read, naming the parameters there are.
 */
export function parseRedisUrl(url: string): RedisOptions {
  const parts = /^(rediss?):\/\/(?:([^@/]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(url)
  if (parts === null) throw wrong(url, 'it is no redis:// URL', 'write redis://host:6379/0?stream=user.events')
  const [, scheme = '', userInfo = '', hosts = '', path = '', query = ''] = parts
  const params = paramsOf(url, query)
  const nodes = hosts.split(',').map((host) => nodeOf(url, host))
  const colon = userInfo.indexOf(':')
  const username = decoded(url, colon < 0 ? userInfo : userInfo.slice(0, colon))
  const password = colon < 0 ? undefined : decoded(url, userInfo.slice(colon + 1))
  if (username !== undefined && password === undefined)
    throw wrong(url, `it names user ${username} and no password`, 'write redis://user:password@host')
  if (!/^\d*$/.test(path)) throw wrong(url, `the database ${path} is no number`, 'name streams with ?stream=')
  const [streams, channels] = [namesOf(params.get('stream')), namesOf(params.get('pubsub'))]
  if (streams.length > 0 && channels.length > 0) {
    throw wrong(url, 'it names ?stream= and ?pubsub=', 'use two URLs: one for the streams, one for the channels')
  }
  const cluster = switchOf(url, 'cluster', params.get('cluster')) ?? (nodes.length > 1 ? true : undefined)
  const database = Number(path || '0')
  if (cluster && database > 0) throw wrong(url, `a cluster has no database ${database}`, `write ${scheme}://${hosts}`)
  const [first] = nodes
  return {
    place: {
      url: redactUrl(url),
      host: `${first?.host.includes(':') ? `[${first.host}]` : first?.host}:${first?.port}`,
      user: username ?? 'default',
    },
    nodes,
    tls: tlsOf(url, scheme, params),
    username,
    password,
    database,
    cluster,
    streams,
    channels,
    windowMs: read(url, 'window', params, parseDuration) ?? defaultWindowMs,
    retain: read(url, 'retain', params, retainOf) ?? defaultRetain,
    broadcast: params.get('broadcast') ?? undefined,
    lookMs: read(url, 'look', params, lookOf) ?? defaultLookMs,
  }
}

function tlsOf(url: string, scheme: string, params: URLSearchParams): RedisOptions['tls'] {
  const [ca, cert, key] = [params.get('ca'), params.get('cert'), params.get('certkey')]
  const verify = switchOf(url, 'verify', params.get('verify'))
  if (scheme.toLowerCase() === 'rediss')
    return { verify: verify ?? true, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }
  if ([ca, cert, key].every((file) => file === null) && verify === undefined) return undefined
  throw wrong(url, 'it has options of TLS and no TLS', 'write rediss:// for it')
}

function decoded(url: string, text: string): string | undefined {
  try {
    return decodeURIComponent(text) || undefined
  } catch {
    throw wrong(url, 'user or password is not percent-encoded', 'write %25 for a percent sign in it')
  }
}

function paramsOf(url: string, query: string): URLSearchParams {
  const params = new URLSearchParams(query)
  const unknown = [...params.keys()].find((name) => !Object.hasOwn(known, name))
  if (unknown === undefined) return params
  const list = Object.entries(known).map(([name, text]) => `?${name}= (${text})`)
  throw wrong(url, `there is no parameter ${unknown}`, `known: ${list.join('; ')}`)
}

function nodeOf(url: string, text: string): RedisNode {
  const [, host = '', port = '6379'] = /^(\[[^\]]+\]|[^:]*)(?::(\d{1,5}))?$/.exec(text) ?? []
  if (host === '' && text !== '') throw wrong(url, 'its host cannot be read', 'write redis://host:6379')
  if (Number(port) > 65_535 || Number(port) === 0) throw wrong(url, `there is no port ${port}`, 'use 1 to 65535')
  return { host: host.replace(/^\[|\]$/g, '') || '127.0.0.1', port: Number(port) }
}

const namesOf = (text: string | null) => (text ?? '').split(',').filter((name) => name !== '')

function switchOf(url: string, name: string, text: string | null): boolean | undefined {
  if (text === null) return undefined
  if (text === 'true' || text === 'false') return text === 'true'
  throw wrong(url, `?${name}=${text} is neither true nor false`, `write ?${name}=true`)
}

/** Shorter would only keep the server busy. */
const leastLookMs = 10

function lookOf(text: string): number {
  const ms = parseDuration(text)
  if (ms >= leastLookMs) return ms
  throw new EvtError('usage', `${text} is too short`)
}

/** `m` is minutes here. */
function retainOf(text: string): Retain {
  return /^[\d.,]+[kg]?$/i.test(text) ? { entries: parseCount(text) } : { ms: parseDuration(text) }
}

function read<T>(url: string, name: string, params: URLSearchParams, parse: (text: string) => T): T | undefined {
  const text = params.get(name)
  if (text === null) return undefined
  try {
    return parse(text)
  } catch {
    throw wrong(url, `?${name}=${text} cannot be read`, `${name}: ${known[name]}`)
  }
}

function wrong(url: string, reason: string, hint: string): EvtError {
  return new EvtError('usage', `cannot open ${redactUrl(url)}: ${reason}`, { hint })
}
