import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { bareKafka } from './bare-kafka.ts'
import { findKafka, installKafka, type KafkaPrograms } from './broker-binaries.ts'
import { type Certificate, makeCertificate } from './certificate.ts'
import { freeServerPorts } from './ports.ts'
import { type PrivateBroker, runServer, withRetries } from './private-process.ts'
import { makeServerDirectory, removeServer } from './server-directory.ts'
import { remedy } from './server-names.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'

export interface PrivateKafkaOptions {
  /** More lines of server.properties, `name=value`; the last one of a name wins. */
  readonly settings?: readonly string[]
  /** A listener with TLS. */
  readonly tls?: boolean
  /**
   * Name → password, on a listener with SASL (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; with TLS when `tls`). They may do nothing
   * until somebody gives them an ACL; whoever comes over `url` may do everything.
   */
  readonly users?: Readonly<Record<string, string>>
  /** Java's: `quick` (default in tests) takes half the processor time to start, `full` (default elsewhere) serves faster later. */
  readonly compiler?: 'quick' | 'full'
  readonly owner?: string
}

export interface PrivateKafka extends PrivateBroker {
  /** `kafka://…?tls=true` and what its client has to trust; only with `tls`. */
  readonly tls?: { readonly url: string; readonly port: number; readonly ca: string }
  /** Where `users` log in; the URL has neither name nor password. */
  readonly sasl?: { readonly url: string; readonly port: number; readonly ca?: string }
  /** A way in whose every connection goes through a proxy, because a client goes where Kafka's metadata sends it. */
  proxied(): Promise<TcpProxy & { readonly url: string }>
  /** Ends the connections of the proxied clients: Kafka itself cannot end a connection. */
  disconnectClients(): Promise<void>
}

/** `outer` is what the clients of the proxy are told. */
interface Ports {
  readonly plain: number
  readonly controller: number
  readonly inner: number
  readonly outer: number
  readonly tls: number
  readonly sasl: number
}

/** One of a cluster. */
export interface KafkaNode {
  readonly id: number
  /** `id@host:port` of each controller. */
  readonly voters: string
  /** It is ready when it sees so many. */
  readonly brokers: number
  readonly heapMb: number
}

interface Plan {
  readonly node: KafkaNode
  readonly directory: string
  readonly ports: Ports
  readonly options: PrivateKafkaOptions
  readonly certificate: Certificate | undefined
}

const run = promisify(execFile)

/** One node in KRaft mode. Its jars are fetched once per machine, into a cache outside the clone. */
export async function startPrivateKafka(options: PrivateKafkaOptions = {}): Promise<PrivateKafka> {
  const programs = findKafka()
  if (!programs) throw new Error(`Kafka is not here: ${remedy('kafka')}`)
  await installKafka()
  return withRetries(() => start(programs, options))
}

async function start(programs: KafkaPrograms, options: PrivateKafkaOptions): Promise<PrivateKafka> {
  const [controller = 0] = await freeServerPorts(1)
  const voters = `1@127.0.0.1:${controller}`
  return startKafkaNode(programs, { id: 1, voters, brokers: 1, heapMb: 384 }, options)
}

/** Ready when it sees the others. The caller has installed Kafka, and found a free port for the controller. */
export async function startKafkaNode(
  programs: KafkaPrograms,
  node: KafkaNode,
  options: PrivateKafkaOptions,
): Promise<PrivateKafka> {
  const [plain = 0, inner = 0, outer = 0, tls = 0, sasl = 0] = await freeServerPorts(5)
  const controller = Number(new RegExp(`\\b${node.id}@[^:]+:(\\d+)`).exec(node.voters)?.[1])
  const ports: Ports = { plain, controller, inner, outer, tls, sasl }
  const directory = makeServerDirectory(options)
  const certificate = options.tls ? makeCertificate(directory) : undefined
  await format(programs, { node, directory, ports, options, certificate })
  const server = await runServer({
    name: 'Kafka',
    directory,
    command: programs.java,
    args: [
      ...compilerArgs(options.compiler),
      ...javaArgs(programs, node.heapMb, 'kafka.Kafka', join(directory, 'server.properties')),
    ],
    ready: () => answers(plain, node.brokers),
  })
  const proxy = lazyProxy(ports)
  const stop = async (): Promise<void> => {
    await proxy.close()
    await removeServer(directory)
  }
  const secure = certificate && { ca: certificate.ca }
  return Object.assign(server, {
    url: `kafka://127.0.0.1:${plain}`,
    port: plain,
    directory,
    ...(secure && { tls: { url: `kafka://127.0.0.1:${tls}?tls=true`, port: tls, ...secure } }),
    ...(options.users && {
      sasl: { url: `kafka://127.0.0.1:${sasl}${secure ? '?tls=true' : ''}`, port: sasl, ...secure },
    }),
    proxied: proxy.open,
    disconnectClients: proxy.cut,
    stop,
    [Symbol.asyncDispose]: stop,
  })
}

function lazyProxy({ inner, outer }: Ports) {
  let opened: Promise<TcpProxy> | undefined
  return {
    async open() {
      opened ??= startTcpProxy(inner, { port: outer })
      return Object.assign(await opened, { url: `kafka://127.0.0.1:${outer}` })
    },
    async cut() {
      const proxy = await opened
      proxy?.cut()
    },
    async close() {
      const proxy = await opened
      opened = undefined
      await proxy?.close()
    },
  }
}

function compilerArgs(compiler = process.env.VITEST ? 'quick' : 'full'): string[] {
  return compiler === 'quick' ? ['-XX:TieredStopAtLevel=1'] : []
}

function javaArgs({ jars }: KafkaPrograms, heapMb: number, main: string, ...args: readonly string[]): string[] {
  const memory = [`-Xmx${heapMb}m`, '-Xms128m', '-XX:+UseSerialGC', '-Xshare:auto', '-XX:-UsePerfData']
  const logging = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=error']
  return [...memory, ...logging, '-cp', join(jars, '*'), main, ...args]
}

async function format(programs: KafkaPrograms, plan: Plan): Promise<void> {
  const file = join(plan.directory, 'server.properties')
  writeFileSync(file, `${properties(plan).join('\n')}\n`, { mode: 0o600 })
  const passwords = Object.entries(plan.options.users ?? {}).flatMap(([name, password]) =>
    scram.flatMap((mechanism) => ['--add-scram', `${mechanism}=[name=${name},password=${password}]`]),
  )
  const args = ['format', '--cluster-id', 'ZXZ0LXRlc3QtY2x1c3Rlcg', '--config', file, ...passwords]
  try {
    await run(programs.java, [...compilerArgs('quick'), ...javaArgs(programs, 384, 'kafka.tools.StorageTool', ...args)])
  } catch (error) {
    await removeServer(plan.directory)
    throw error
  }
}

const scram = ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const

function properties({ node, directory, ports, options, certificate }: Plan): string[] {
  const sasl = options.users && { protocol: certificate ? 'SASL_SSL' : 'SASL_PLAINTEXT' }
  const listeners = {
    PLAIN: ports.plain,
    PROXIED: ports.inner,
    ...(certificate && { TLS: ports.tls }),
    ...(sasl && { SASL: ports.sasl }),
  }
  const at = (map: Readonly<Record<string, number>>) =>
    Object.entries(map).map(([name, port]) => `${name}://127.0.0.1:${port}`)
  const protocols = [
    'PLAIN:PLAINTEXT',
    'PROXIED:PLAINTEXT',
    'CONTROLLER:PLAINTEXT',
    'TLS:SSL',
    ...(sasl ? [`SASL:${sasl.protocol}`] : []),
  ]
  return [
    'process.roles=broker,controller',
    `node.id=${node.id}`,
    `controller.quorum.voters=${node.voters}`,
    'controller.listener.names=CONTROLLER',
    'inter.broker.listener.name=PLAIN',
    `listeners=${at({ ...listeners, CONTROLLER: ports.controller })}`,
    `advertised.listeners=${at({ ...listeners, PROXIED: ports.outer })}`,
    `listener.security.protocol.map=${protocols}`,
    `log.dirs=${join(directory, 'data')}`,
    ...small,
    ...(certificate ? tlsSettings(certificate) : []),
    ...userSettings(options.users ?? {}),
    ...(options.settings ?? []),
  ]
}

/** For one node, for tests that make and delete many topics, and for a quick return after a kill -9. */
const small = [
  'offsets.topic.replication.factor=1',
  'offsets.topic.num.partitions=2',
  'transaction.state.log.replication.factor=1',
  'transaction.state.log.min.isr=1',
  'transaction.state.log.num.partitions=2',
  'share.coordinator.state.topic.replication.factor=1',
  'share.coordinator.state.topic.min.isr=1',
  'share.coordinator.state.topic.num.partitions=1',
  'num.partitions=1',
  'auto.create.topics.enable=false',
  'group.initial.rebalance.delay.ms=0',
  'group.min.session.timeout.ms=500',
  'message.max.bytes=4194304',
  'log.index.size.max.bytes=1048576',
  'log.cleaner.dedupe.buffer.size=4194304',
  'log.segment.delete.delay.ms=1000',
  'num.network.threads=2',
  'num.io.threads=2',
  'broker.heartbeat.interval.ms=200',
  // Until it is over, a broker that was killed cannot come back; shorter ones also end when the machine is busy.
  'broker.session.timeout.ms=2000',
  'controller.quorum.election.timeout.ms=200',
  'controller.quorum.election.backoff.max.ms=100',
]

function tlsSettings({ bothFile, certFile }: Certificate): string[] {
  const key = ['ssl.keystore.type=PEM', `ssl.keystore.location=${bothFile}`]
  return [...key, 'ssl.truststore.type=PEM', `ssl.truststore.location=${certFile}`]
}

function userSettings(users: Readonly<Record<string, string>>): string[] {
  const names = Object.entries(users)
  if (names.length === 0) return []
  const module = (name: string) => `org.apache.kafka.common.security.${name}LoginModule required`
  const passwords = names.map(([name, password]) => `user_${name}="${password}"`).join(' ')
  return [
    `sasl.enabled.mechanisms=PLAIN,${scram}`,
    `listener.name.sasl.plain.sasl.jaas.config=${module('plain.Plain')} ${passwords};`,
    ...scram.map((name) => `listener.name.sasl.${name.toLowerCase()}.sasl.jaas.config=${module('scram.Scram')};`),
    'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users=User:ANONYMOUS',
  ]
}

/** The metadata is there and the coordinator of the groups has its topic, so that the first group need not wait for it. */
async function answers(port: number, count: number): Promise<boolean> {
  const admin = bareKafka(port, { retry: { retries: 0 }, connectionTimeout: 2_000 }).admin()
  try {
    await admin.connect()
    const { brokers } = await admin.describeCluster()
    await admin.fetchOffsets({ groupId: 'evt-ready', topics: [] })
    return brokers.length === count
  } finally {
    await admin.disconnect()
  }
}
