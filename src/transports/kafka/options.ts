import { readFileSync } from 'node:fs'
import { parseDuration } from '../../core/duration.ts'
import { EvtError } from '../../core/errors.ts'
import { readsAsMeant, redactUrl } from '../../core/mask.ts'
import { suggestion } from '../../core/suggest.ts'

const defaultPort = 9092
/** The least that brokers allow by default (`group.min.session.timeout.ms`). */
const defaultSessionMs = 6_000
const sessionRange = [500, 300_000] as const
const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const
const parameters = ['tls', 'ca', 'cert', 'key', 'sasl', 'clientId', 'partitions', 'session'] as const
type Parameter = (typeof parameters)[number]

export interface Address {
  readonly host: string
  readonly port: number
}

export interface KafkaOptions {
  /** Without the password; for messages. */
  readonly shown: string
  /** Where the cluster is asked for its brokers. */
  readonly seeds: readonly Address[]
  readonly topics: readonly string[]
  readonly clientId: string
  /** Paths of PEM files; undefined for a plain connection. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string }
  readonly sasl?: {
    readonly mechanism: (typeof mechanisms)[number]
    readonly username: string
    readonly password: string
  }
  /** How many partitions the topics have: the answer to "they had another number before". */
  readonly partitions?: number
  /** A member that is not heard of for so long is taken for dead. */
  readonly sessionMs: number
}

/**
 * `kafka://[user:password@]h:9092,h2:9092/topic[,topic]?tls=true&ca=…&cert=…&key=…&sasl=plain|scram-sha-256|scram-sha-512&clientId=…&partitions=…&session=6s`.
 * A topic may hold `*`, for `observe` only. Throws `usage` naming what is wrong.
 */
export function parseKafkaUrl(url: string): KafkaOptions {
  const shown = redactUrl(url)
  const fail = (reason: string, hint?: string): never => {
    throw new EvtError('usage', `cannot open ${shown}: ${reason}`, hint === undefined ? {} : { hint })
  }
  // The rest of a password that ended too early would be taken for hosts, and shown.
  const parts = readsAsMeant(url)
    ? /^kafka:\/\/(?:([^/?#]*)@)?([^/?#@]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(url)
    : null
  if (parts === null)
    return fail(
      'it cannot be read',
      'kafka://user:password@host:9092,host2:9092/topic; escape / ? # @ in a password as %2F %3F %23 %40',
    )
  const [, userInfo, hosts = '', path = '', query = ''] = parts
  const values = readParameters(new URLSearchParams(query), fail)
  const tls = readTls(values, fail)
  const sasl = readSasl(userInfo, values.get('sasl'), fail)
  const partitions = values.get('partitions')
  if (partitions !== undefined && !/^[1-9]\d{0,5}$/.test(partitions))
    fail(`?partitions=${partitions} is no number of partitions`)
  return {
    shown,
    seeds: hosts.split(',').map((host) => readAddress(host, fail)),
    topics: path
      .split(',')
      .filter(Boolean)
      .map((topic) => decoded(topic, fail)),
    clientId: values.get('clientId') ?? 'evt',
    sessionMs: readSession(values.get('session'), fail),
    ...(tls && { tls }),
    ...(sasl && { sasl }),
    ...(partitions !== undefined && { partitions: Number(partitions) }),
  }
}

function readSession(text: string | undefined, fail: Fail): number {
  if (text === undefined) return defaultSessionMs
  const [least, most] = sessionRange
  const ms = parseDuration(text)
  return ms >= least && ms <= most ? ms : fail(`?session=${text} is not between 500ms and 5m`)
}

type Fail = (reason: string, hint?: string) => never

function readParameters(query: URLSearchParams, fail: Fail): ReadonlyMap<Parameter, string> {
  const values = new Map<Parameter, string>()
  for (const [name, value] of query) {
    const known = parameters.find((parameter) => parameter === name)
    if (known === undefined) {
      const hint = [suggestion(name, parameters), `known: ${parameters.join(', ')}`].filter(Boolean).join(' ')
      return fail(`there is no parameter ${name}`, hint)
    }
    values.set(known, value)
  }
  return values
}

function readTls(values: ReadonlyMap<Parameter, string>, fail: Fail): KafkaOptions['tls'] {
  const wanted = values.get('tls')
  if (wanted !== undefined && wanted !== 'true' && wanted !== 'false') fail(`?tls=${wanted} is neither true nor false`)
  const files = Object.fromEntries(
    (['ca', 'cert', 'key'] as const).flatMap((name) => (values.has(name) ? [[name, values.get(name)]] : [])),
  )
  const [first] = Object.keys(files)
  if (wanted === 'false' && first !== undefined) fail(`?${first}= needs TLS, and ?tls=false`)
  if ('cert' in files !== 'key' in files)
    fail('a certificate needs its key, and the key its certificate', 'give both ?cert= and ?key=')
  return wanted === 'true' || first !== undefined ? files : undefined
}

function readSasl(userInfo: string | undefined, mechanism: string | undefined, fail: Fail): KafkaOptions['sasl'] {
  if (userInfo === undefined) {
    return mechanism === undefined
      ? undefined
      : fail(`?sasl=${mechanism} needs a user`, 'kafka://user:password@host:9092/…')
  }
  const found = mechanisms.find((known) => known === (mechanism ?? 'plain').toLowerCase())
  if (found === undefined) return fail(`there is no ?sasl=${mechanism}`, `known: ${mechanisms.join(', ')}`)
  const colon = userInfo.indexOf(':')
  if (colon < 0) return fail('the user has no password', 'kafka://user:password@host:9092/…')
  const username = decoded(userInfo.slice(0, colon), fail)
  return { mechanism: found, username, password: decoded(userInfo.slice(colon + 1), fail) }
}

function readAddress(text: string, fail: Fail): Address {
  const found = /^(\[[^\]]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text)
  const port = Number(found?.[2] ?? defaultPort)
  if (found?.[1] === undefined || port < 1 || port > 65_535) return fail(`${text || 'an empty host'} is no host:port`)
  return { host: found[1].replace(/^\[|\]$/g, ''), port }
}

function decoded(text: string, fail: Fail): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return fail('a % in it is not followed by two hex digits', 'write % as %25')
  }
}

/** The contents of the TLS files. Throws `config` naming the file that cannot be read. */
export function readTlsFiles({ tls, shown }: KafkaOptions): Readonly<Record<string, Buffer>> | undefined {
  if (tls === undefined) return undefined
  return Object.fromEntries(
    Object.entries(tls).map(([name, path]) => {
      try {
        return [name, readFileSync(path)]
      } catch (cause) {
        throw new EvtError('config', `cannot open ${shown}: ?${name}=${path} cannot be read`, {
          hint: 'give the path of a PEM file',
          cause,
        })
      }
    }),
  )
}
