import { EvtError } from '../../core/errors.ts'
import type { ServerProblem } from '../transport.ts'
import type { RedisPlace } from './errors.ts'

/** One server: of a cluster, each of its masters. */
export interface AskedNode {
  call(command: string, ...args: string[]): Promise<unknown>
}

/** What a server says of itself to everybody, whatever the user may do. */
export interface ServerHello {
  readonly version: string
  readonly role: string
  readonly mode: string
}

const floor = [7, 0] as const

/** `HELLO` is open to every user, unlike INFO. */
export async function askHello(node: AskedNode): Promise<ServerHello> {
  const facts = pairsOf(await node.call('HELLO'))
  return {
    version: facts.get('version') ?? '',
    role: facts.get('role') ?? 'master',
    mode: facts.get('mode') ?? 'standalone',
  }
}

/** Throws `unsupported` for a server below 7.0. One that does not tell its version is taken as it is. */
export function assertVersion({ version }: ServerHello, place: RedisPlace): void {
  if (isNewEnough(version)) return
  throw new EvtError('unsupported', `cannot use ${place.url}: it is Redis ${version}, and evt needs 7.0`, {
    hint: 'use a newer server; Valkey does too',
  })
}

/** What will cost messages one day. What this user may not ask is left out, and is no problem. */
export async function checkServer(nodes: readonly AskedNode[]): Promise<readonly ServerProblem[]> {
  const all = await Promise.all(nodes.map(checkNode))
  const byText = new Map(all.flat().map((problem) => [problem.problem, problem]))
  return [...byText.values()]
}

async function checkNode(node: AskedNode): Promise<readonly ServerProblem[]> {
  const [hello, memory, persistence, config] = await Promise.all([
    askHello(node).catch(() => undefined),
    askInfo(node, 'memory'),
    askInfo(node, 'persistence'),
    askConfig(node),
  ])
  const policy = config.get('maxmemory-policy') ?? memory.get('maxmemory_policy')
  const bounded = Number(config.get('maxmemory') ?? memory.get('maxmemory') ?? 0) > 0
  return [
    ...(hello === undefined ? [] : [...checkVersion(hello), ...checkRole(hello)]),
    ...checkEviction(policy, bounded),
    ...checkPersistence(persistence, config),
  ]
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return version === '' || major > floor[0] || (major === floor[0] && minor >= floor[1])
}

function checkVersion({ version }: ServerHello): readonly ServerProblem[] {
  if (isNewEnough(version)) return []
  return [
    { problem: `the server is Redis ${version}, and evt needs 7.0`, remedy: 'use a newer server; Valkey does too' },
  ]
}

function checkRole({ role }: ServerHello): readonly ServerProblem[] {
  if (role === 'master') return []
  return [{ problem: `the server is a ${role}: it takes no writes`, remedy: 'use the URL of the master' }]
}

function checkEviction(policy: string | undefined, bounded: boolean): readonly ServerProblem[] {
  if (policy === undefined || policy === 'noeviction') return []
  const when = bounded ? 'when memory is full' : 'once a maxmemory is set'
  return [
    {
      problem: `maxmemory-policy is ${policy}: Redis drops whole streams ${when}`,
      remedy: 'CONFIG SET maxmemory-policy noeviction, and the same in redis.conf',
    },
  ]
}

function checkPersistence(info: Facts, config: Facts): readonly ServerProblem[] {
  const aof = config.get('appendonly') ?? onOff(info.get('aof_enabled'))
  const save = config.get('save')
  const snapshots = save === undefined ? undefined : save !== ''
  const remedy = 'CONFIG SET appendonly yes, and the same in redis.conf'
  if (aof === 'no' && snapshots === false) {
    return [{ problem: 'nothing is kept on disk: a restart of Redis loses every message', remedy }]
  }
  if (aof === 'no' && snapshots === true) {
    return [{ problem: `only snapshots are kept (save ${save}): a crash loses what came after the last one`, remedy }]
  }
  const fsync = config.get('appendfsync')
  if (aof === 'yes' && fsync === 'no') {
    return [
      {
        problem: 'appendfsync is no: a crash of the machine loses up to half a minute',
        remedy: 'CONFIG SET appendfsync everysec, or always',
      },
    ]
  }
  return checkWrites(info)
}

function checkWrites(info: Facts): readonly ServerProblem[] {
  const failed = [
    ['aof_last_write_status', 'the append-only file'],
    ['rdb_last_bgsave_status', 'the last snapshot'],
  ].filter(([name]) => info.has(name as string) && info.get(name as string) !== 'ok')
  return failed.map(([, what]) => ({
    problem: `${what} could not be written`,
    remedy: 'look at the disk of the server and its log',
  }))
}

type Facts = ReadonlyMap<string, string>

async function askConfig(node: AskedNode): Promise<Facts> {
  const names = ['maxmemory-policy', 'maxmemory', 'appendonly', 'appendfsync', 'save']
  const reply = await node.call('CONFIG', 'GET', ...names).catch(() => [])
  return pairsOf(reply)
}

async function askInfo(node: AskedNode, section: string): Promise<Facts> {
  const reply = await node.call('INFO', section).catch(() => '')
  const lines = String(reply).split('\r\n')
  return new Map(lines.filter((line) => line.includes(':')).map((line) => splitAt(line, line.indexOf(':'))))
}

function splitAt(line: string, at: number): readonly [string, string] {
  return [line.slice(0, at), line.slice(at + 1)]
}

function onOff(flag: string | undefined): string | undefined {
  return flag === undefined ? undefined : flag === '1' ? 'yes' : 'no'
}

function pairsOf(reply: unknown): Facts {
  const flat = Array.isArray(reply) ? reply : []
  const facts = new Map<string, string>()
  for (let at = 0; at + 1 < flat.length; at += 2) facts.set(String(flat[at]), String(flat[at + 1]))
  return facts
}
