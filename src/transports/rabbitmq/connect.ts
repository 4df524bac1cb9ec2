import { readFile } from 'node:fs/promises'
import type { Channel, ConnectionOptions } from 'rabbitmq-client'
import { EvtError } from '../../core/errors.ts'
import { whatAnswers } from '../what-answers.ts'
import { keepBytes, noteClosure, type ServerIdentity, startConnection } from './driver.ts'
import { codeOf, isMissing, translate } from './errors.ts'
import { greetsAsAmqp } from './greeting.ts'
import type { RabbitOptions } from './options.ts'

export const connectWithinMs = 5_000
/** For what the server answers at once when it is well; a silent connection is noticed by its heartbeat, not by this. */
const answerWithinMs = 15_000
const closeWithinMs = 1_500

/** One connection, for as long as it lasts: it is never the same one again. */
export interface Link {
  readonly server: ServerIdentity
  readonly lost: AbortSignal
  /** Why the server takes no messages from us now: memory or disk are short. */
  readonly blocked: string | undefined
  /** A channel of its own; the caller closes it. Bodies of its messages are bytes. */
  channel(): Promise<Channel>
  /** Bounded; what is in flight is lost when the server does not answer. */
  close(): Promise<void>
  /** At once. */
  destroy(): void
}

/** Tries each host once. Throws `connect` with the reason of the last. */
export async function openLink(options: RabbitOptions, name: string): Promise<Link> {
  const common = await connectionOptions(options, name)
  let failure: EvtError | undefined
  for (const { hostname, port } of options.hosts) {
    try {
      if (options.tls === undefined && (await greetsAsAmqp(hostname, port)) === false) throw noFrame()
      return await openTo({ ...common, hostname, port })
    } catch (error) {
      failure = await explain(error, options, hostname, port)
    }
  }
  throw failure ?? new EvtError('usage', `cannot connect to ${options.url}: it names no host`)
}

/** What a port does that speaks another protocol: it closes, is silent, or sends what is no frame. */
const strange =
  /^(CONNECTION_TIMEOUT|READ_END|CONN_CLOSE|FRAME_ERROR|COMMAND_INVALID|CODEC|ECONNRESET|EPIPE|EPROTO|ERR_SSL_.*)$/

const noFrame = () => Object.assign(new Error('the server answers with what is no AMQP'), { code: 'FRAME_ERROR' })

async function explain(error: unknown, { url, tls }: RabbitOptions, hostname: string, port: number): Promise<EvtError> {
  const attempted = `connect to ${url}`
  const found = strange.test(codeOf(error)) ? await whatAnswers(hostname, port) : undefined
  if (found === undefined || (found === 'RabbitMQ' && tls === undefined) || (found === 'TLS' && tls !== undefined)) {
    return translate(error, attempted)
  }
  const hint =
    found === 'TLS'
      ? 'write amqps:// for it, or name the port without TLS (5672)'
      : found === 'RabbitMQ'
        ? 'write amqp:// for it, or name the TLS port (5671)'
        : 'check host and port: RabbitMQ listens at 5672, with TLS at 5671'
  const looks =
    found === 'TLS'
      ? 'the port speaks TLS'
      : found === 'RabbitMQ'
        ? 'the port speaks AMQP without TLS'
        : `the port looks like ${found}`
  return new EvtError('connect', `cannot ${attempted}: ${looks}`, { hint, cause: error })
}

async function connectionOptions(options: RabbitOptions, connectionName: string): Promise<ConnectionOptions> {
  const { username, password, vhost, heartbeatSeconds: heartbeat, tls } = options
  const common = { username, password, vhost, heartbeat, connectionName, connectionTimeout: connectWithinMs }
  if (tls === undefined) return common
  const pem = async (file: string | undefined) => (file === undefined ? undefined : await readPem(file, options.url))
  const [ca, cert, key] = [await pem(tls.ca), await pem(tls.cert), await pem(tls.key)]
  // The name is checked against the certificate; a literal address has none to send.
  return { ...common, tls: { ca, cert, key, rejectUnauthorized: tls.verify } }
}

async function readPem(file: string, url: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new EvtError('usage', `cannot open ${url}: ${file} cannot be read`, { cause })
  }
}

async function openTo(options: ConnectionOptions): Promise<Link> {
  const connection = startConnection(options)
  const gone = new AbortController()
  try {
    await new Promise<void>((resolve, reject) => {
      connection.once('connection', resolve)
      connection.once('error', reject)
    })
  } catch (error) {
    connection.unsafeDestroy()
    throw error
  }
  let blocked: string | undefined
  const destroy = () => {
    connection.unsafeDestroy()
    gone.abort(new EvtError('connect', 'the connection to RabbitMQ was closed'))
  }
  connection.on('error', (error) => {
    // Channels tell their errors through the connection too; with those it stays open.
    if (connection.ready || isOfChannel(error)) return
    destroy()
  })
  connection.on('connection.blocked', (reason) => {
    blocked = reason
  })
  connection.on('connection.unblocked', () => {
    blocked = undefined
  })
  const channels = new Set<Channel>()

  return {
    server: connection.server ?? { product: 'RabbitMQ', version: '0' },
    lost: gone.signal,
    get blocked() {
      return blocked
    },
    async channel() {
      if (gone.signal.aborted) throw gone.signal.reason
      const channel = noteClosure(keepBytes(await within(connection.acquire(), 'open a channel')))
      channels.add(channel)
      channel.once('close', () => channels.delete(channel))
      return channel
    },
    async close() {
      if (gone.signal.aborted) return
      const closing = Promise.all([...channels].map((channel) => channel.close())).then(() => connection.close())
      await Promise.race([closing.catch(() => {}), pause(closeWithinMs, gone.signal)])
      destroy()
    },
    destroy,
  }
}

const isOfChannel = (error: unknown): boolean => error instanceof Error && error.name === 'AMQPChannelError'

/** Waits, or less when a signal aborts. Does not keep the process. */
export function pause(ms: number, ...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      for (const signal of signals) signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    for (const signal of signals) signal.addEventListener('abort', end, { once: true })
    if (signals.some((signal) => signal.aborted)) end()
  })
}

/** An answer of the server, translated when it is an error, or `timeout`. */
export async function within<T>(answer: Promise<T>, attempted: string, ms = answerWithinMs): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new EvtError('timeout', `cannot ${attempted}: RabbitMQ did not answer within ${ms / 1_000} s`)),
    ms,
  )
  try {
    return await Promise.race([answer, late])
  } catch (error) {
    answer.catch(() => {})
    throw translate(error, attempted)
  } finally {
    clearTimeout(timer)
  }
}

/** Closes a channel, not waiting longer than for a server that is well. */
export async function closeChannel(channel: Channel): Promise<void> {
  const ended = new AbortController()
  await Promise.race([channel.close().catch(() => {}), pause(closeWithinMs, ended.signal)])
  ended.abort()
}

/** Calls with a channel of its own, and closes it. */
export async function withChannel<T>(link: Link, use: (channel: Channel) => Promise<T>): Promise<T> {
  const channel = await link.channel()
  try {
    return await use(channel)
  } finally {
    await closeChannel(channel)
  }
}

/** undefined where there is no such exchange or queue: an answer that also closes the channel. */
export async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
