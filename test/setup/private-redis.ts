import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { findRedis } from './broker-binaries.ts'
import { type Certificate, makeCertificate } from './certificate.ts'
import { freeServerPorts } from './ports.ts'
import { type PrivateBroker, runServer, withRetries } from './private-process.ts'
import { makeServerDirectory } from './server-directory.ts'
import { remedy } from './server-names.ts'
import { until } from './until.ts'

export interface PrivateRedisOptions {
  /** More arguments of redis-server, as `['--maxmemory', '8mb']`; the last word wins. */
  readonly args?: readonly string[]
  /** Lines of an ACL file, as `user bob on >secret ~events:* +@all`. Who gives none has `default`, who may do everything. */
  readonly users?: readonly string[]
  /** A second port with TLS. */
  readonly tls?: boolean
  /** Replica of the server at this port. */
  readonly replicaOf?: number
  readonly owner?: string
}

export interface PrivateRedis extends PrivateBroker {
  /** `rediss://…` and what its client has to trust; only with `tls`. */
  readonly tls?: { readonly url: string; readonly port: number; readonly ca: string }
  /** Of the cluster bus. */
  readonly busPort: number
  /** One command on a connection of its own. */
  command(...words: readonly (string | number)[]): Promise<unknown>
  /** Ends every client's connection; the server goes on. */
  disconnectClients(): Promise<void>
}

/** Every write is in the append-only file before it is answered, so that a kill -9 of the server loses nothing. */
const always = [
  '--bind',
  '127.0.0.1',
  '--appendonly',
  'yes',
  '--appendfsync',
  'no',
  '--save',
  '',
  '--repl-diskless-sync-delay',
  '0',
  '--enable-debug-command',
  'local',
]

export async function startPrivateRedis(options: PrivateRedisOptions = {}): Promise<PrivateRedis> {
  const program = findRedis()
  if (!program) throw new Error(`redis-server is not here: ${remedy('redis')}`)
  return withRetries(() => start(program, options))
}

async function start(program: string, options: PrivateRedisOptions): Promise<PrivateRedis> {
  const [port = 0, tlsPort = 0, busPort = 0] = await freeServerPorts(3)
  const directory = makeServerDirectory(options)
  const certificate = options.tls ? makeCertificate(directory) : undefined
  const url = `redis://${options.users ? 'evt:evt@' : ''}127.0.0.1:${port}`
  const command = (...words: readonly (string | number)[]) => once(url, words)
  const server = await runServer({
    name: 'Redis',
    directory,
    command: program,
    args: [
      ...placeArgs(directory, port, busPort),
      ...always,
      ...(certificate ? tlsArgs(certificate, tlsPort) : []),
      ...(options.users ? userArgs(directory, options.users) : []),
      ...(options.replicaOf ? ['--replicaof', `127.0.0.1 ${options.replicaOf}`] : []),
      ...(options.args ?? []),
    ],
    ready: async () => (await command('ping')) === 'PONG',
  })
  return Object.assign(server, {
    url,
    port,
    busPort,
    directory,
    ...(certificate && {
      tls: { url: url.replace(/^redis:(.*):\d+$/, `rediss:$1:${tlsPort}`), port: tlsPort, ca: certificate.ca },
    }),
    command,
    disconnectClients: async () => void (await command('client', 'kill', 'type', 'normal', 'skipme', 'yes')),
  })
}

function placeArgs(directory: string, port: number, busPort: number): string[] {
  mkdirSync(join(directory, 'data'))
  return ['--port', String(port), '--cluster-port', String(busPort), '--dir', join(directory, 'data')]
}

function tlsArgs({ certFile, keyFile }: Certificate, port: number): string[] {
  const files = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', certFile]
  return ['--tls-port', String(port), ...files, '--tls-auth-clients', 'no']
}

function userArgs(directory: string, users: readonly string[]): string[] {
  const file = join(directory, 'users.acl')
  // `evt` is ours: without it the tests could not prepare what the others may not do.
  writeFileSync(file, ['user evt on >evt ~* &* +@all', ...users, ''].join('\n'))
  return ['--aclfile', file]
}

async function once(url: string, words: readonly (string | number)[]): Promise<unknown> {
  const client = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: 5_000,
  })
  // Without a listener ioredis writes to the console; the command is rejected with the same error.
  client.on('error', () => undefined)
  try {
    await client.connect()
    const [name = '', ...rest] = words
    return await client.call(String(name), ...rest)
  } finally {
    client.disconnect()
  }
}

export interface PrivateRedisCluster {
  /** All masters: `redis://127.0.0.1:a,127.0.0.1:b,127.0.0.1:c/?cluster=true`. */
  readonly url: string
  readonly nodes: readonly PrivateRedis[]
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const slots = 16_384

/** Three masters without replicas, with all slots served. */
export async function startPrivateRedisCluster(options: PrivateRedisOptions = {}): Promise<PrivateRedisCluster> {
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', '--cluster-require-full-coverage', 'no']
  const nodes = await allOrNone(
    [1, 2, 3].map(() => startPrivateRedis({ ...options, args: [...args, ...(options.args ?? [])] })),
  )
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()))
  }
  try {
    await formCluster(nodes)
  } catch (error) {
    await stop()
    throw error
  }
  const hosts = nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')
  return { url: `redis://${hosts}/?cluster=true`, nodes, stop, [Symbol.asyncDispose]: stop }
}

async function allOrNone(starting: readonly Promise<PrivateRedis>[]): Promise<PrivateRedis[]> {
  const settled = await Promise.allSettled(starting)
  const failed = settled.find((one) => one.status === 'rejected')
  const nodes = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  if (!failed) return nodes
  await Promise.all(nodes.map((node) => node.stop()))
  throw failed.reason
}

async function formCluster(nodes: readonly PrivateRedis[]): Promise<void> {
  const [first] = nodes
  const share = Math.ceil(slots / nodes.length)
  for (const [index, node] of nodes.entries()) {
    await node.command('cluster', 'set-config-epoch', index + 1)
    await node.command('cluster', 'addslotsrange', index * share, Math.min((index + 1) * share, slots) - 1)
    if (first && node !== first) await node.command('cluster', 'meet', '127.0.0.1', first.port, first.busPort)
  }
  await until(async () => (await Promise.all(nodes.map((node) => knowsAll(node, nodes.length)))).every(Boolean), {
    withinMs: 20_000,
    what: 'a Redis cluster of three masters',
  })
}

async function knowsAll(node: PrivateRedis, count: number): Promise<boolean> {
  const info = String(await node.command('cluster', 'info'))
  return (
    info.includes('cluster_state:ok') &&
    info.includes(`cluster_known_nodes:${count}`) &&
    info.includes(`cluster_slots_ok:${slots}`)
  )
}
