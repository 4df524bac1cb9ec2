import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Connection } from 'rabbitmq-client'
import { findRabbit, type RabbitPrograms } from './broker-binaries.ts'
import { type Certificate, makeCertificate } from './certificate.ts'
import { freeServerPorts } from './ports.ts'
import { type PrivateBroker, runServer, spawnNoted, withRetries } from './private-process.ts'
import { makeServerDirectory, removeServer } from './server-directory.ts'
import { remedy } from './server-names.ts'

export interface PrivateRabbitOptions {
  /** More lines of rabbitmq.conf, `name = value`. */
  readonly settings?: readonly string[]
  /** The management plugin with its HTTP interface: another second to start. */
  readonly management?: boolean
  /** More plugins by name. */
  readonly plugins?: readonly string[]
  /** A second port with TLS. */
  readonly tls?: boolean
  readonly owner?: string
}

export interface PrivateRabbit extends PrivateBroker {
  /**
   * As every server's, but SIGKILL comes after the names of new quorum queues are on the disk: RabbitMQ 3.10 writes them a second
   * late, and such a queue of which only the declaration survived answers nobody for ever. For that, kill `pid` yourself.
   */
  kill(signal: NodeJS.Signals): Promise<void>
  /** `amqps://…` and what its client has to trust; only with `tls`. */
  readonly tls?: { readonly url: string; readonly port: number; readonly ca: string }
  /** `http://guest:guest@127.0.0.1:…`; only with `management`. */
  readonly managementUrl?: string
  /** `rabbitmqctl …`, for example `add_vhost other`; resolves to what it prints. Takes a second. */
  ctl(...words: readonly string[]): Promise<string>
  /** Ends every client's connection; the server goes on. */
  disconnectClients(): Promise<void>
}

interface Ports {
  readonly amqp: number
  readonly tls: number
  readonly management: number
  readonly distribution: number
  readonly epmd: number
}

const run = promisify(execFile)

/** A node with a name, an Erlang port mapper, a cookie and a home of its own: it neither finds nor disturbs another one. */
export async function startPrivateRabbit(options: PrivateRabbitOptions = {}): Promise<PrivateRabbit> {
  const programs = findRabbit()
  if (!programs) throw new Error(`rabbitmq-server is not here: ${remedy('rabbitmq')}`)
  return withRetries(() => start(programs, options))
}

async function start(programs: RabbitPrograms, options: PrivateRabbitOptions): Promise<PrivateRabbit> {
  const [amqp = 0, tls = 0, management = 0, distribution = 0, epmd = 0] = await freeServerPorts(5)
  const ports: Ports = { amqp, tls, management, distribution, epmd }
  const directory = makeServerDirectory(options)
  const certificate = options.tls ? makeCertificate(directory) : undefined
  configure(directory, ports, options, certificate)
  const env = environment(directory, ports)
  const url = `amqp://guest:guest@127.0.0.1:${amqp}`
  const ctl = async (...words: readonly string[]): Promise<string> => {
    const { stdout } = await run(programs.ctl, ['-q', '-n', nodeName(ports), ...words], { env, timeout: 60_000 })
    return stdout
  }
  await startPortMapper(programs, directory, ports)
  const server = await runServer({
    name: 'RabbitMQ',
    directory,
    command: programs.server,
    args: [],
    env,
    ready: () => connects(url),
  })
  const flush = () => ctl('eval', '[dets:sync(T) || T <- dets:all()].')
  const { kill } = server
  return Object.assign(server, {
    async kill(name: NodeJS.Signals) {
      if (name === 'SIGKILL') await flush()
      await kill(name)
    },
    url,
    port: amqp,
    directory,
    ...(certificate && { tls: { url: `amqps://guest:guest@127.0.0.1:${tls}`, port: tls, ca: certificate.ca } }),
    ...(options.management && { managementUrl: `http://guest:guest@127.0.0.1:${management}` }),
    ctl,
    disconnectClients: async () => void (await ctl('close_all_connections', 'test')),
  })
}

const nodeName = ({ amqp }: Ports): string => `evt${amqp}@localhost`

function configure(directory: string, ports: Ports, options: PrivateRabbitOptions, certificate?: Certificate): void {
  const plugins = [...(options.management ? ['rabbitmq_management'] : []), ...(options.plugins ?? [])]
  writeFileSync(join(directory, 'enabled_plugins'), `[${plugins.join(',')}].\n`)
  writeFileSync(join(directory, '.erlang.cookie'), 'evt'.repeat(7), { mode: 0o400 })
  mkdirSync(join(directory, 'data'))
  const lines = [
    `listeners.tcp.1 = 127.0.0.1:${ports.amqp}`,
    'log.console = true',
    'log.console.level = warning',
    'log.file = false',
    'disk_free_limit.absolute = 50MB',
    ...(certificate ? tlsSettings(certificate, ports.tls) : []),
    ...(options.management ? managementSettings(ports.management) : []),
    ...(options.settings ?? []),
  ]
  writeFileSync(join(directory, 'rabbitmq.conf'), `${lines.join('\n')}\n`)
}

/** What it tells of queues and consumers is as old as its samples: five seconds by default. */
const managementSettings = (port: number): string[] => [
  'management.tcp.ip = 127.0.0.1',
  `management.tcp.port = ${port}`,
  'collect_statistics_interval = 200',
  ...['global', 'basic', 'detailed'].map((section) => `management.sample_retention_policies.${section}.minute = 1`),
]

function tlsSettings({ certFile, keyFile }: Certificate, port: number): string[] {
  const files = { cacertfile: certFile, certfile: certFile, keyfile: keyFile }
  const names = Object.entries(files).map(([name, file]) => `ssl_options.${name} = ${file}`)
  return [`listeners.ssl.1 = 127.0.0.1:${port}`, ...names, 'ssl_options.verify = verify_none']
}

/** Nothing of a RabbitMQ of the system: neither its variables nor its configuration under /etc. */
function environment(directory: string, ports: Ports): NodeJS.ProcessEnv {
  const ours = Object.entries(process.env).filter(([name]) => !name.startsWith('RABBITMQ_'))
  return {
    ...Object.fromEntries(ours),
    HOME: directory,
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_CRASH_DUMP: join(directory, 'erl_crash.dump'),
    RABBITMQ_CONF_ENV_FILE: join(directory, 'none'),
    RABBITMQ_CONFIG_FILE: join(directory, 'rabbitmq'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(directory, 'advanced'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, 'enabled_plugins'),
    RABBITMQ_NODENAME: nodeName(ports),
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_MNESIA_BASE: join(directory, 'data'),
    RABBITMQ_LOG_BASE: directory,
    RABBITMQ_PID_FILE: join(directory, 'rabbit.pid'),
    RABBITMQ_GENERATED_CONFIG_DIR: join(directory, 'config'),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    // Makes the script become the server, so that the process id is the server's.
    RUNNING_UNDER_SYSTEMD: 'true',
  }
}

/** In the foreground: the one that Erlang starts by itself is a daemon that nobody would find again. */
async function startPortMapper(programs: RabbitPrograms, directory: string, { epmd }: Ports): Promise<void> {
  try {
    spawnNoted(directory, programs.epmd, ['-port', String(epmd), '-address', '127.0.0.1'])
  } catch (error) {
    await removeServer(directory)
    throw error
  }
}

async function connects(url: string): Promise<boolean> {
  const connection = new Connection({ url, connectionTimeout: 2_000, retryLow: 60_000, retryHigh: 60_000 })
  const failed = new Promise<boolean>((resolve) => connection.once('error', () => resolve(false)))
  // More errors may follow while it closes.
  connection.on('error', () => undefined)
  try {
    return await Promise.race([failed, connection.onConnect(3_000, true).then(() => true)])
  } finally {
    connection.unsafeDestroy()
  }
}
