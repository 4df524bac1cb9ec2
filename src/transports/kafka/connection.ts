// One connection to one broker. Calls go out in order and are answered in order: what may wait on the server (a fetch, a join) has a
// connection of its own. kafkajs' connection is not used: it spins a timer when idle and knows no half-open sockets.
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { EvtError, toError } from '../../core/errors.ts'
import { noAnswer } from './connect-errors.ts'
import { frame } from './framing.ts'
import { logIn } from './login.ts'
import type { Address, KafkaOptions } from './options.ts'
import { type Call, kafkaCall, type Versions } from './protocol.ts'

export const connectTimeoutMs = 5_000
export interface Connection {
  readonly versions: Versions
  readonly isOpen: boolean
  /**
   * Throws `timeout` when no answer came in time; then the connection is closed, because it may be half-open. Throws `connect` when it
   * was lost. In both cases the call may have been carried out.
   */
  send<T>(call: Call<T>, timeoutMs?: number): Promise<T>
  /** At once; calls that wait end with `connect`. Idempotent. */
  close(): void
}

export interface ConnectOptions {
  readonly address: Address
  readonly kafka: KafkaOptions
  readonly tlsFiles: Readonly<Record<string, Buffer>> | undefined
  readonly signal: AbortSignal
  readonly timeoutMs?: number
}

/** Connects, learns what the broker can do and logs in. Throws `connect` or `timeout`. */
export async function connect({
  address,
  kafka,
  tlsFiles,
  signal,
  timeoutMs = connectTimeoutMs,
}: ConnectOptions): Promise<Connection> {
  const where = `${address.host}:${address.port}`
  const name = `kafka://${where}`
  const socket = open(address, tlsFiles)
  const framed = frame(socket, name, kafka.clientId)
  const deadline = setTimeout(() => framed.fail(noAnswer(name, timeoutMs)), timeoutMs)
  const onAbort = () => framed.fail(new EvtError('closed', `cannot connect to ${name}: it was closed meanwhile`))
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    await framed.connected
    const versions = await learnVersions(framed.call)
    if (kafka.sasl !== undefined) await logIn(framed.call, versions, kafka, address)
    framed.established()
    return {
      versions,
      get isOpen() {
        return framed.isOpen
      },
      send: framed.call,
      close: () => framed.fail(new EvtError('connect', `cannot use ${name}: the connection was closed`)),
    }
  } catch (error) {
    framed.fail(toError(error))
    throw error
  } finally {
    clearTimeout(deadline)
    signal.removeEventListener('abort', onAbort)
  }
}

function open({ host, port }: Address, tlsFiles: ConnectOptions['tlsFiles']): Socket {
  if (tlsFiles === undefined)
    return connectPlain({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 })
  const socket = connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...tlsFiles })
  socket.setNoDelay(true)
  return socket.setKeepAlive(true, 10_000)
}

async function learnVersions(call: Connection['send']): Promise<Versions> {
  const everything: Versions = { 18: { minVersion: 0, maxVersion: 2 } }
  const { apiVersions } = await call(kafkaCall(everything, 'ApiVersions', {}))
  return Object.fromEntries(apiVersions.map(({ apiKey, ...range }) => [apiKey, range]))
}
