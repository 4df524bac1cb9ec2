import { setTimeout as delay } from 'node:timers/promises'
import { EvtError, toError } from '../../core/errors.ts'
import { whatAnswers } from '../what-answers.ts'
import { type Connection, connect, connectTimeoutMs } from './connection.ts'
import { passes, throwIfFailed } from './errors.ts'
import { type BrokerInfo, type Metadata, metadataCall, type TopicInfo } from './metadata.ts'
import { type KafkaOptions, readTlsFiles } from './options.ts'
import { type Call, kafkaCall, type Versions } from './protocol.ts'

/** How long something that a caller waits for is tried again while brokers are away or leaders move. */
const retryForMs = 10_000
const maxPauseMs = 500

export interface AskOptions {
  /** Calls that may wait on the server have a connection of their own each. Default `admin`. */
  readonly purpose?: string
  readonly timeoutMs?: number
}

/** The brokers, the connections to them and what they say about topics. */
export interface Cluster {
  readonly options: KafkaOptions
  /** Aborted by `close`. */
  readonly closing: AbortSignal
  /** Asks one broker, or any. The call is built for what the broker can do. */
  ask<T>(node: number | 'any', call: (versions: Versions) => Call<T>, options?: AskOptions): Promise<T>
  connection(node: number, purpose: string): Promise<Connection>
  /** Fresh from a broker; those that do not exist are absent. */
  refresh(names: readonly string[] | 'all'): Promise<ReadonlyMap<string, TopicInfo>>
  /** As it was last heard; asked for when it never was. */
  topic(name: string): Promise<TopicInfo | undefined>
  /** As it was last heard. */
  known(name: string): TopicInfo | undefined
  brokers(): Promise<readonly BrokerInfo[]>
  /** The node that keeps the group's offsets. */
  coordinator(group: string): Promise<number>
  forgetCoordinator(group: string): void
  /** Asks the group's coordinator; after an error it is looked up anew. */
  askCoordinator<T>(group: string, call: (versions: Versions) => Call<T>, options?: AskOptions): Promise<T>
  /** Closes the connections of that purpose. */
  disconnect(purpose: string): void
  close(): void
}

/** Connects, so that a wrong URL is told now. Throws `connect`, `timeout`, `config`. */
export async function openCluster(options: KafkaOptions): Promise<Cluster> {
  const cluster = createCluster(options)
  try {
    await cluster.refresh([])
    return cluster
  } catch (error) {
    cluster.close()
    throw await recognised(options, toError(error))
  }
}

/** Says which other protocol the port speaks, when it is one that evt knows. */
async function recognised({ shown, seeds, tls, sasl }: KafkaOptions, error: Error): Promise<Error> {
  const [seed] = seeds
  const isClear = !(error instanceof EvtError) || (error.code !== 'connect' && error.code !== 'timeout')
  if (seed === undefined || isClear || /nothing listens|no such host|cannot log in|not trusted/.test(error.message))
    return error
  // It told us its versions and nothing else.
  const wantsUser = sasl === undefined && /the connection was closed/.test(error.message)
  const found = wantsUser ? 'Kafka' : await whatAnswers(seed.host, seed.port)
  if (found === 'TLS' && tls === undefined) {
    const hint = 'add ?tls=true (and ?ca=FILE for a certificate of your own), or use the plain port'
    return new EvtError('connect', `cannot connect to ${shown}: the port speaks TLS`, { hint, cause: error })
  }
  if (wantsUser) {
    const hint = 'kafka://user:password@host:port?sasl=plain, scram-sha-256 or scram-sha-512'
    return new EvtError('connect', `cannot connect to ${shown}: the broker wants a user and a password`, {
      hint,
      cause: error,
    })
  }
  if (found === undefined || found === 'Kafka' || found === 'TLS') return error
  const hint = `${found} has URLs of its own; Kafka listens on 9092 as a rule`
  return new EvtError('connect', `cannot connect to ${shown}: it looks like ${found}`, { hint, cause: error })
}

function createCluster(options: KafkaOptions): Cluster {
  const tlsFiles = readTlsFiles(options)
  const closing = new AbortController()
  const connections = new Map<string, Promise<Connection>>()
  const topics = new Map<string, TopicInfo>()
  const coordinators = new Map<string, number>()
  let brokers: readonly BrokerInfo[] = []

  function connectTo(
    key: string,
    address: { host: string; port: number },
    timeoutMs = connectTimeoutMs,
  ): Promise<Connection> {
    if (closing.signal.aborted) throw new EvtError('closed', `cannot use ${options.shown}: the transport was closed`)
    const made = connect({ address, kafka: options, tlsFiles, signal: closing.signal, timeoutMs })
    connections.set(key, made)
    made.catch(() => {
      if (connections.get(key) === made) connections.delete(key)
    })
    return made
  }

  async function openOne(key: string): Promise<Connection | undefined> {
    const found = await connections.get(key)
    if (found?.isOpen !== false) return found
    connections.delete(key)
    return openOne(key)
  }

  async function connection(node: number, purpose: string): Promise<Connection> {
    const key = `${node}/${purpose}`
    const found = await openOne(key)
    if (found !== undefined) return found
    const address = brokers.find((broker) => broker.node === node)
    if (address === undefined) throw new EvtError('connect', `cannot use ${options.shown}: broker ${node} is not there`)
    return connectTo(key, address)
  }

  /** A seed or a broker that answers; the error of the last one when none does. */
  async function anyConnection(): Promise<Connection> {
    for (const key of connections.keys()) {
      if (!key.endsWith('/admin')) continue
      const open = await openOne(key).catch(() => undefined)
      if (open !== undefined) return open
    }
    const places = [...options.seeds, ...brokers]
    const timeoutMs = Math.max(1_000, connectTimeoutMs / places.length)
    let last: unknown
    for (const { host, port } of places) {
      try {
        return await connectTo(`${host}:${port}/admin`, { host, port }, timeoutMs)
      } catch (error) {
        last = error
      }
    }
    throw last
  }

  const ask: Cluster['ask'] = async (node, call, { purpose = 'admin', timeoutMs } = {}) => {
    const to = node === 'any' ? await anyConnection() : await connection(node, purpose)
    return to.send(call(to.versions), timeoutMs)
  }

  async function refresh(names: readonly string[] | 'all'): Promise<ReadonlyMap<string, TopicInfo>> {
    const heard: Metadata = await ask('any', (versions) => metadataCall(versions, names))
    // A broker that has just started knows only itself, or nobody.
    if (heard.brokers.length > 0) brokers = heard.brokers
    for (const name of names === 'all' ? topics.keys() : names) if (!heard.topics.has(name)) topics.delete(name)
    for (const [name, topic] of heard.topics) topics.set(name, topic)
    return heard.topics
  }

  async function coordinator(group: string): Promise<number> {
    const known = coordinators.get(group)
    if (known !== undefined) return known
    const parameters = { coordinatorKey: group, groupId: group, coordinatorType: 0 }
    const answer = await ask('any', (versions) => kafkaCall(versions, 'GroupCoordinator', parameters))
    throwIfFailed(answer.errorCode)
    const { nodeId } = answer.coordinator
    if (!brokers.some(({ node }) => node === nodeId)) await refresh([])
    coordinators.set(group, nodeId)
    return nodeId
  }

  return {
    options,
    closing: closing.signal,
    ask,
    connection,
    refresh,
    known: (name) => topics.get(name),
    topic: async (name) => topics.get(name) ?? (await refresh([name])).get(name),
    async brokers() {
      await refresh([])
      return brokers
    },
    coordinator,
    forgetCoordinator: (group) => void coordinators.delete(group),
    async askCoordinator(group, call, options) {
      try {
        return await ask(await coordinator(group), call, options)
      } catch (error) {
        coordinators.delete(group)
        throw error
      }
    },
    disconnect(purpose) {
      for (const [key, made] of connections) {
        if (!key.endsWith(`/${purpose}`)) continue
        connections.delete(key)
        made.then(
          (open) => open.close(),
          () => {},
        )
      }
    },
    close() {
      closing.abort()
      for (const made of connections.values())
        made.then(
          (open) => open.close(),
          () => {},
        )
      connections.clear()
    },
  }
}

/** Tries again what an outage or a moving leader interrupts, for some seconds; `again` is told before each new attempt. */
export async function persist<T>(
  signal: AbortSignal,
  work: () => Promise<T>,
  again?: (error: unknown) => void,
  forMs = retryForMs,
): Promise<T> {
  const deadline = performance.now() + forMs
  for (let pauseMs = 20; ; pauseMs = Math.min(pauseMs * 2, maxPauseMs)) {
    try {
      return await unlessAborted(signal, work())
    } catch (error) {
      if (signal.aborted || !passes(error) || performance.now() + pauseMs > deadline) throw toError(error)
      again?.(error)
    }
    await pause(pauseMs, signal)
  }
}

/** The work goes on, but nobody waits for it after the signal. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(new EvtError('interrupted', 'cannot wait for Kafka: aborted'))
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Waits; returns early when `signal` aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {})
}

/** Waits no longer than that; what it waited for goes on. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController()
  await Promise.race([work, pause(ms, over.signal)])
  over.abort()
}
