import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, Command, type RedisOptions as DriverOptions, Redis } from 'ioredis'
import { EvtError } from '../../core/errors.ts'
import { askHello, assertVersion } from './check-server.ts'
import { explainNoConnection, isReply } from './errors.ts'
import type { RedisOptions } from './options.ts'

const connectMs = 5_000
/** A connection that owes us an answer for this long is half-open: it is closed and made anew. */
const silentMs = 5_000
const leaveReplicaMs = 1_000

/** What this process has open to one server or cluster. */
export interface RedisConnections {
  readonly isCluster: boolean
  /**
   * For commands and scripts that do not block. While the server is away they fail at once, and none is sent twice: what was under way
   * when the connection broke has an unknown outcome. Errors are the driver's; `translateError` knows them.
   */
  readonly client: Redis | Cluster
  /** One of its own, for what blocks or subscribes: to the master of `key`'s slot. It reconnects by itself; the caller disconnects it. */
  openOwn(key?: string): Promise<Redis>
  /** Every master: for what no key routes. */
  masters(): readonly Redis[]
  /** Ends at once; what is under way fails. Idempotent. */
  close(): void
}

/** Connects within 5 s. Throws `connect`, `usage` for a database that does not exist, `unsupported` below Redis 7.0, as translated. */
export async function connectRedis(options: RedisOptions): Promise<RedisConnections> {
  const opened = new Set<Redis>()
  const isCluster = options.cluster ?? (await asksCluster(options))
  const client = isCluster ? await openCluster(options) : await openNode(options)

  async function openOwn(key?: string): Promise<Redis> {
    const node = client instanceof Cluster ? addressOf(client, key) : undefined
    const made = silent(new Redis({ ...nodeOptions(options), ...node }))
    opened.add(made)
    made.once('end', () => opened.delete(made))
    await connected(made, options)
    return made
  }

  return {
    isCluster,
    client,
    openOwn,
    masters: () => (client instanceof Cluster ? client.nodes('master') : [client]),
    close() {
      client.disconnect()
      for (const one of opened) one.disconnect()
    },
  }
}

const reconnectMs = (times: number) => Math.min(50 * 2 ** (Math.min(times, 6) - 1), 1_000)

function driverOptions(options: RedisOptions) {
  return {
    // RESP2, and a user always: other ways of the handshake make the driver write to the console.
    protocol: 2,
    ...(options.password === undefined ? {} : { username: options.username ?? 'default', password: options.password }),
    ...(options.tls ? { tls: tlsOf(options.tls, options.place.url) } : {}),
    connectTimeout: connectMs,
    socketTimeout: silentMs,
    keepAlive: 10_000,
    lazyConnect: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // What was under way when the connection broke fails at once; otherwise the driver forgets it.
    maxRetriesPerRequest: 0,
    disableClientInfo: true,
    connectionName: 'evt',
    reconnectOnError: leavesReplica(),
  } as const satisfies DriverOptions
}

/**
 * After a fail-over connections may still lead to the former master, which is a replica now, while the address leads to the new one: a
 * connection that says READONLY is made anew, but not time and again where the address itself is a replica's.
 */
function leavesReplica(): (error: Error) => boolean {
  let leftMs = Number.NEGATIVE_INFINITY
  return (error) => {
    if (!isReply(error, 'READONLY') || performance.now() - leftMs < leaveReplicaMs) return false
    leftMs = performance.now()
    return true
  }
}

function tlsOf({ ca, cert, key, verify }: NonNullable<RedisOptions['tls']>, url: string) {
  const pem = (file: string): string => {
    try {
      return readFileSync(file, 'utf8')
    } catch (cause) {
      throw new EvtError('usage', `cannot open ${url}: ${file} cannot be read`, { cause })
    }
  }
  return {
    rejectUnauthorized: verify,
    ...(ca === undefined ? {} : { ca: pem(ca) }),
    ...(cert === undefined ? {} : { cert: pem(cert) }),
    ...(key === undefined ? {} : { key: pem(key) }),
  }
}

function nodeOptions(options: RedisOptions) {
  return {
    ...driverOptions(options),
    ...options.nodes[0],
    db: options.database,
    retryStrategy: reconnectMs,
  }
}

/** Of the master of the key's slot; of any without a key. */
function addressOf(cluster: Cluster, key: string | undefined): { host?: string; port?: number } {
  const slot = key === undefined ? null : new Command('get', [key]).getSlot()
  const owner = slot === null ? undefined : cluster.slots[slot]?.[0]
  const masters = cluster.nodes('master')
  const found = masters.find(({ options }) => `${options.host}:${options.port}` === owner) ?? masters[0]
  const { host = '', port = 6379 } = found?.options ?? {}
  return found === undefined ? {} : { host, port }
}

async function openNode(options: RedisOptions): Promise<Redis> {
  const client = silent(new Redis(nodeOptions(options)))
  await connected(client, options)
  return client
}

async function openCluster(options: RedisOptions): Promise<Cluster> {
  const client = silent(
    new Cluster([...options.nodes], {
      redisOptions: driverOptions(options),
      lazyConnect: true,
      enableOfflineQueue: false,
      // A part of a cluster is better than none: what is down says so itself.
      enableReadyCheck: false,
      clusterNodeRetryStrategy: reconnectMs,
      // Sent again only what the cluster itself sent elsewhere; after a lost connection nobody knows.
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      slotsRefreshTimeout: 2_000,
      slotsRefreshInterval: 5_000,
      clusterRetryStrategy: reconnectMs,
    }),
  )
  await connected(client, options)
  // A node that is only connecting refuses; so none is connected by the first command to it.
  const connect = (node: Redis) => (node.status === 'wait' ? node.connect().catch(() => {}) : undefined)
  client.on('+node', connect)
  const masters = client.nodes('master')
  await Promise.all(masters.map(connect))
  try {
    for (const master of masters) await assertUsable(master, options)
  } catch (error) {
    client.disconnect()
    throw error
  }
  return client
}

/** Throws for a server that is too old; one that does not answer is another's affair. */
async function assertUsable(node: Redis, { place }: RedisOptions): Promise<void> {
  const hello = await askHello(node).catch(() => undefined)
  if (hello) assertVersion(hello, place)
}

/** Our errors come with commands; events of the driver that nobody hears go to the console. */
function silent<T extends Redis | Cluster>(client: T): T {
  client.on('error', () => {})
  return client
}

/** Waits for the first connection; a client that does not come about is closed, or it would go on trying. */
async function connected(client: Redis | Cluster, options: RedisOptions): Promise<void> {
  let last: unknown
  const remember = (error: unknown) => {
    last = error
  }
  client.on('error', remember)
  const giveUp = new AbortController()
  try {
    const late = delay(connectMs, undefined, { signal: giveUp.signal }).then(() => {
      throw new EvtError('connect', `cannot use ${options.place.url}: no answer within 5 s (${options.place.host})`, {
        hint: 'check that Redis runs there, and host and port in the URL',
      })
    })
    await Promise.race([client.connect(), late])
    if (client instanceof Redis) await Promise.race([assertAnswers(client, options), late])
    if (isOfSelect(last)) throw last
  } catch (error) {
    client.disconnect()
    throw await explainNoConnection(last ?? error, options.place)
  } finally {
    giveUp.abort()
    client.off('error', remember)
  }
}

/** The driver goes on with database 0 where it may not have another one, and tells that as an event only. */
const isOfSelect = (error: unknown) =>
  (error as { command?: { name?: string } } | undefined)?.command?.name === 'select'

/** `HELLO` is open to every user, and says which version that is; `PING` also tells a server that is still loading. */
async function assertAnswers(client: Redis, { place }: RedisOptions): Promise<void> {
  assertVersion(await askHello(client), place)
  await client.ping().catch((error: unknown) => {
    if (!isReply(error, 'NOPERM')) throw error
  })
}

/** False also where the user may not ask. */
async function asksCluster(options: RedisOptions): Promise<boolean> {
  const probe = await openNode(options)
  try {
    return /cluster_enabled:1/.test(await probe.info('cluster'))
  } catch {
    return false
  } finally {
    probe.disconnect()
  }
}
