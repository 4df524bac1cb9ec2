// One connection to one broker. Calls go out in order and are answered in order: what may wait on the server (a fetch, a join) has a
// connection of its own. kafkajs' connection is not used: it spins a timer when idle and knows no half-open sockets.
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import SaslAuthenticator from 'kafkajs/src/broker/saslAuthenticator/index.js'
import { EvtError, toError } from '../../core/errors.ts'
import { createReader, createWriter } from './bytes.ts'
import { lasting } from './errors.ts'
import type { Address, KafkaOptions } from './options.ts'
import { type Call, kafkaCall, type Versions } from './protocol.ts'

export const connectTimeoutMs = 5_000
const callTimeoutMs = 6_000
/** No answer of ours is as big: it is another protocol. */
const maxFrameBytes = 512 * 1024 * 1024

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

interface Waiting {
  readonly name: string
  resolve(payload: Buffer): void
  reject(error: Error): void
  readonly flexible: boolean
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
  const deadline = setTimeout(
    () => framed.fail(new EvtError('timeout', `cannot connect to ${name}: no answer within ${timeoutMs} ms`)),
    timeoutMs,
  )
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

const silent = { debug() {}, info() {}, warn() {}, error() {}, namespace: () => silent }

async function logIn(
  call: Connection['send'],
  versions: Versions,
  { sasl, shown }: KafkaOptions,
  { host, port }: Address,
): Promise<void> {
  if (sasl === undefined) return
  type KafkaJsCall = {
    request: { apiKey: number; apiVersion: number; encode(): Promise<{ buffer: Buffer }> }
    response: { decode(payload: Buffer): Promise<unknown>; parse(data: unknown): Promise<unknown> }
  }
  const send = ({ request, response }: KafkaJsCall) =>
    call({
      name: 'SASL',
      apiKey: request.apiKey,
      apiVersion: request.apiVersion,
      encode: async () => (await request.encode()).buffer,
      decode: async (payload) => response.parse(await response.decode(payload)),
    })
  const { mechanism, username, password } = sasl
  const connection = { sasl: { mechanism, username, password }, host, port, send }
  try {
    await new SaslAuthenticator(connection, silent, versions, true).authenticate()
  } catch (thrown) {
    if (thrown instanceof EvtError) throw thrown
    const cause = toError(thrown)
    const error = (reason: string, hint: string) =>
      lasting(new EvtError('connect', `cannot log in to ${shown}: ${reason}`, { hint, cause }))
    if (/not supported by the server|UNSUPPORTED_SASL|mechanism is not/i.test(cause.message)) {
      throw error(
        `the server does not know ${mechanism}`,
        'choose another of ?sasl=plain, scram-sha-256, scram-sha-512',
      )
    }
    if (/not valid given the current SASL state|ILLEGAL_SASL/i.test(cause.message)) {
      throw error(
        'the server asks for no password on this port',
        'leave user and password out of the URL, or use the port with SASL',
      )
    }
    throw error(`user ${username} or the password is wrong`, 'check user, password and ?sasl=')
  }
}

interface Framed {
  readonly connected: Promise<void>
  readonly isOpen: boolean
  call<T>(call: Call<T>, timeoutMs?: number): Promise<T>
  /** From now on, a lost connection is just that. */
  established(): void
  fail(error: Error): void
}

/** int32 length, then for a request: int16 key, int16 version, int32 correlation, string client; for an answer: int32 correlation. */
function frame(socket: Socket, name: string, clientId: string): Framed {
  const waiting = new Map<number, Waiting>()
  const { promise: connected, resolve, reject } = Promise.withResolvers<void>()
  connected.catch(() => {})
  let lastCorrelation = 0
  let failed: Error | undefined
  let isEstablished = false
  let chunks: Buffer[] = []
  let buffered = 0
  let needed = 4

  function fail(error: Error): void {
    if (failed !== undefined) return
    failed = error
    socket.destroy()
    reject(error)
    for (const call of waiting.values()) call.reject(error)
    waiting.clear()
    chunks = []
  }

  function onData(chunk: Buffer): void {
    chunks.push(chunk)
    buffered += chunk.length
    while (buffered >= needed && failed === undefined) {
      const all = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
      const length = all.readInt32BE(0)
      if (length < 4 || length > maxFrameBytes) {
        fail(noKafka(name, all))
        return
      }
      if (buffered < 4 + length) {
        chunks = [all]
        needed = 4 + length
        return
      }
      const rest = all.subarray(4 + length)
      chunks = rest.length > 0 ? [rest] : []
      buffered = rest.length
      needed = 4
      onAnswer(all.subarray(4, 4 + length))
    }
  }

  function onAnswer(answer: Buffer): void {
    const reader = createReader(answer)
    const correlation = reader.int32()
    const call = waiting.get(correlation)
    if (call === undefined) {
      if (!isEstablished) fail(noKafka(name, answer))
      return
    }
    waiting.delete(correlation)
    if (call.flexible) reader.tags()
    call.resolve(answer.subarray(reader.at))
  }

  socket.once(socket.listenerCount('secureConnect') >= 0 && 'encrypted' in socket ? 'secureConnect' : 'connect', () =>
    resolve(),
  )
  socket.on('data', onData)
  socket.on('error', (error) => fail(lost(name, error, 'encrypted' in socket, isEstablished)))
  socket.on('close', () => fail(closedByServer(name, isEstablished, 'encrypted' in socket)))

  async function call<T>(given: Call<T>, timeoutMs = callTimeoutMs): Promise<T> {
    const body = await given.encode()
    if (failed !== undefined) throw failed
    lastCorrelation = (lastCorrelation + 1) & 0x7fffffff
    const correlation = lastCorrelation
    const answer = new Promise<Buffer>((resolve, reject) => {
      waiting.set(correlation, { name: given.name, resolve, reject, flexible: given.flexible === true })
    })
    const timer = setTimeout(
      () => fail(new EvtError('timeout', `cannot call ${given.name} of ${name}: no answer within ${timeoutMs} ms`)),
      timeoutMs,
    )
    try {
      write(given, correlation, body)
      return await given.decode(await answer)
    } finally {
      clearTimeout(timer)
    }
  }

  function write({ apiKey, apiVersion, flexible }: Call<unknown>, correlation: number, body: Uint8Array): void {
    const header = createWriter(64)
    header.int32(0)
    header.int16(apiKey)
    header.int16(apiVersion)
    header.int32(correlation)
    header.string(clientId)
    if (flexible) header.uvarint(0)
    header.setInt32(0, header.length - 4 + body.length)
    socket.cork()
    socket.write(header.bytes)
    socket.write(body)
    socket.uncork()
  }

  return {
    connected,
    get isOpen() {
      return failed === undefined
    },
    call,
    established() {
      isEstablished = true
    },
    fail,
  }
}

function noKafka(name: string, start: Buffer): EvtError {
  const isTls = start[0] === 0x15 && start[1] === 0x03
  if (isTls) {
    const hint = 'add ?tls=true (and ?ca=FILE for a certificate of your own), or use the plain port'
    return lasting(new EvtError('connect', `cannot connect to ${name}: the port speaks TLS`, { hint }))
  }
  return lasting(
    new EvtError('connect', `cannot connect to ${name}: what answers there is not Kafka`, {
      hint: 'check host and port',
    }),
  )
}

function lost(name: string, cause: Error & { code?: string }, isTls: boolean, isEstablished: boolean): EvtError {
  const { code = '' } = cause
  if (isTls && !isEstablished && /^(?:EPROTO|ERR_SSL|ECONNRESET)/.test(code)) {
    const hint = 'leave ?tls=true out, or use the port that speaks TLS'
    return lasting(
      new EvtError('connect', `cannot connect to ${name}: the port does not speak TLS (${code})`, { hint, cause }),
    )
  }
  if (/CERT|SELF_SIGNED|ISSUER|ALTNAME/.test(code)) {
    const hint = 'give the certificate of its authority: ?ca=FILE'
    return lasting(
      new EvtError('connect', `cannot connect to ${name}: its certificate is not trusted: ${cause.message}`, {
        hint,
        cause,
      }),
    )
  }
  const reasons: Readonly<Record<string, readonly [string, string]>> = {
    ECONNREFUSED: ['nothing listens there', 'start the broker, or check host and port'],
    ENOTFOUND: ['there is no such host', 'check the host; the brokers themselves are named by advertised.listeners'],
    EAI_AGAIN: ['the host name cannot be looked up', 'check the network and the host'],
    EHOSTUNREACH: ['the host cannot be reached', 'check the network and the host'],
  }
  const [reason, hint] = reasons[code] ?? [cause.message, 'check host and port']
  return new EvtError('connect', `cannot connect to ${name}: ${reason}`, { hint, cause })
}

function closedByServer(name: string, isEstablished: boolean, isTls: boolean): EvtError {
  if (isEstablished) return new EvtError('connect', `cannot use ${name}: the connection was closed`)
  const hint = isTls
    ? 'the port may be a plain one: leave ?tls=true out'
    : 'the port may want TLS (?tls=true), or be no Kafka'
  return new EvtError('connect', `cannot connect to ${name}: it closed the connection at once`, { hint })
}
