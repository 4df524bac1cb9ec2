import { EvtError } from '../../core/errors.ts'
import { redactUrl } from '../../core/mask.ts'

export interface RabbitOptions {
  /** As it may be shown. */
  readonly url: string
  readonly hosts: readonly { readonly hostname: string; readonly port: number }[]
  readonly username: string
  readonly password: string
  readonly vhost: string
  /** Files of PEM; `verify: false` takes any certificate. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly verify: boolean }
  /** What the URL names, if anything. */
  readonly exchange?: string
  readonly queue?: string
  /** Binding key for observing and reading exchanges that are not evt's. */
  readonly bindingKey?: string
  /** Base of the management API, with user and password. */
  readonly management?: URL
  readonly heartbeatSeconds: number
}

/**
 * Short enough that a dead peer is noticed, and its lanes move, within 12 s; long enough that a busy event loop is no dead peer. Both
 * sides give up after two to three of them in silence.
 */
const defaultHeartbeatSeconds = 4

const known = ['exchange', 'key', 'queue', 'management', 'heartbeat', 'ca', 'cert', 'certkey', 'verify'] as const
type Parameter = (typeof known)[number]

/**
 * `amqp://user:password@host:5672,other/vhost?exchange=events&key=user.%23` or `?queue=orders`; `amqps://` with `ca`, `cert`, `certkey` (files)
 * and `verify=false`; `management=http://host:15672` for what AMQP cannot tell. Throws `usage`.
 */
export function parseRabbitUrl(url: string): RabbitOptions {
  const shown = redactUrl(url)
  const usage = (reason: string, hint?: string) =>
    new EvtError('usage', `cannot open ${shown}: ${reason}`, hint === undefined ? {} : { hint })
  const match = /^(amqps?):\/\/(?:([^@/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(url)
  if (match === null) throw usage('it is no AMQP URL', 'amqp://user:password@host:5672/vhost')
  const [, scheme = '', userInfo = '', authority = '', path, query = ''] = match
  const isTls = scheme.toLowerCase() === 'amqps'
  const parameters = parseQuery(query, usage)
  const [, user, password] = /^([^:]*)(?::(.*))?$/s.exec(userInfo) ?? []
  const bindingKey = parameters.get('key')
  const exchange = parameters.get('exchange')
  const queue = parameters.get('queue')
  if (exchange !== undefined && queue !== undefined)
    throw usage('it names both an exchange and a queue', 'leave one of them out')
  if (bindingKey !== undefined && exchange === undefined) throw usage('?key= needs an exchange', 'add exchange=NAME')
  return {
    url: shown,
    hosts: authority.split(',').map((host) => parseHost(host, isTls ? 5671 : 5672, usage)),
    username: user ? decode(user, usage) : 'guest',
    password: password === undefined ? (user ? '' : 'guest') : decode(password, usage),
    // An empty path is the default vhost, as in most clients; the specification's empty name is `%00` nobody has.
    vhost: path ? decode(path, usage) : '/',
    heartbeatSeconds: parseHeartbeat(parameters.get('heartbeat'), usage),
    ...(exchange !== undefined && { exchange }),
    ...(queue !== undefined && { queue }),
    ...(bindingKey !== undefined && { bindingKey }),
    ...(isTls && { tls: tlsOf(parameters) }),
    ...managementOf(parameters.get('management'), user, password, usage),
  }
}

type Usage = (reason: string, hint?: string) => EvtError

function parseQuery(query: string, usage: Usage): ReadonlyMap<Parameter, string> {
  const parameters = new Map<Parameter, string>()
  for (const [name, value] of new URLSearchParams(query)) {
    const parameter = known.find((one) => one === name)
    if (parameter === undefined) throw usage(`it has no parameter ${name}`, `known: ${known.join(', ')}`)
    if (value === '' || parameters.has(parameter))
      throw usage(`?${name}= has ${value === '' ? 'no value' : 'two values'}`)
    parameters.set(parameter, value)
  }
  return parameters
}

function parseHost(text: string, defaultPort: number, usage: Usage): RabbitOptions['hosts'][number] {
  const match = /^(\[[^\]]+\]|[^:]*)(?::(\d+))?$/.exec(text)
  const hostname = match?.[1]?.replace(/^\[|\]$/g, '') || 'localhost'
  const port = match?.[2] === undefined ? defaultPort : Number(match[2])
  if (match === null || port < 1 || port > 65_535) throw usage(`${text} is no host with a port`)
  return { hostname, port }
}

function parseHeartbeat(text: string | undefined, usage: Usage): number {
  const seconds = text === undefined ? defaultHeartbeatSeconds : Number(text)
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 300)
    throw usage(`?heartbeat=${text} is not 1 to 300 seconds`)
  return seconds
}

function tlsOf(parameters: ReadonlyMap<Parameter, string>): NonNullable<RabbitOptions['tls']> {
  const [ca, cert, key] = [parameters.get('ca'), parameters.get('cert'), parameters.get('certkey')]
  const verify = parameters.get('verify') !== 'false'
  return {
    verify,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  }
}

function managementOf(text: string | undefined, user: string | undefined, password: string | undefined, usage: Usage) {
  if (text === undefined) return {}
  if (!URL.canParse(text) || !/^https?:/.test(text)) throw usage('?management= is no http:// or https:// URL')
  const management = new URL(text)
  if (management.username === '') {
    management.username = user || 'guest'
    management.password = password ?? (user ? '' : 'guest')
  }
  return { management }
}

function decode(text: string, usage: Usage): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw usage('a part of it is not percent-encoded UTF-8')
  }
}
