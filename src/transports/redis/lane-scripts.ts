import type { Cluster, Redis } from 'ioredis'
import { afterDeath, type Suspicion } from '../suspicion.ts'
import { formatPlace, type Place, parsePlace } from './position.ts'
import { createScript, runScript } from './script.ts'
import { groupsKey, laneKey } from './topic.ts'

// Where a group stands in a lane: a field of the hash {stream}:evt:groups, `<epoch> <settled> <started> <suspect> <guilty> <deaths>`,
// places as position.ts writes them. Only the owner with the latest epoch writes it; a later epoch than its own is a later owner.

export interface LaneState {
  /** The settled prefix. */
  readonly settled: Place
  /** The last that was handed out. */
  readonly started: Place
  readonly suspicion: Suspicion
}

/**
 *   KEYS  stream, lane, groups
 *   ARGV  group, 'earliest' or 'latest'
 *
 * Makes the group's place in a lane where it has none.
 */
const createGroupScript = createScript(`
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 then return 0 end
local id, log = '0-0', redis.call('HGET', KEYS[2], 'last') or '0'
if ARGV[2] == 'latest' then
  local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then id = info[i + 1] end
  end
else
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if first and first[2][1] == 'evt' then
    local ok, meta = pcall(cjson.decode, first[2][2])
    log = ok and type(meta) == 'table' and type(meta.prev) == 'string' and string.match(meta.prev, '^%d+$') or '0'
  end
end
local place = id .. '/' .. log
redis.call('HSET', KEYS[3], ARGV[1], '0 ' .. place .. ' ' .. place .. ' 0-0/0 0-0/0 0')
return 1
`)

/**
 *   KEYS  groups
 *   ARGV  group, epoch
 *   gives the state without its epoch; nil when a later owner was here
 *
 * A state that is gone starts at the first entry there is: rather twice than not at all.
 */
const enterScript = createScript(`
local state = redis.call('HGET', KEYS[1], ARGV[1]) or '0 0-0/0 0-0/0 0-0/0 0-0/0 0'
local epoch, rest = string.match(state, '^(%d+) (.*)$')
if tonumber(epoch) > tonumber(ARGV[2]) then return false end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. rest)
return rest
`)

/**
 *   KEYS  groups
 *   ARGV  group, epoch, state without it
 *   gives 1; 0 when a later owner was here
 */
const writeScript = createScript(`
local state = redis.call('HGET', KEYS[1], ARGV[1])
if state and tonumber(string.match(state, '^%d+')) > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
return 1
`)

/**
 *   KEYS  stream, lane
 *   gives the id that the stream generated last (0-0 for none) and the log position of its last entry (0 for none)
 */
const tipScript = createScript(`
local info, id = redis.pcall('XINFO', 'STREAM', KEYS[1]), '0-0'
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then id = info[i + 1] end
end
return { id, redis.call('HGET', KEYS[2], 'last') or '0' }
`)

type Client = Redis | Cluster

export async function createGroup(client: Client, streams: readonly string[], group: string, start: string) {
  await Promise.all(
    streams.map((stream) =>
      runScript(client, createGroupScript, [stream, laneKey(stream), groupsKey(stream)], [group, start]),
    ),
  )
}

/** As its next owner finds it, with what the death of the last one tells; undefined when a later owner was here. */
export async function enterLane(
  client: Client,
  stream: string,
  group: string,
  epoch: bigint,
): Promise<LaneState | undefined> {
  const text = await runScript(client, enterScript, [groupsKey(stream)], [group, String(epoch)])
  if (typeof text !== 'string') return undefined
  const [settled, started, suspectTo, guilty] = text
    .split(' ')
    .map((part) => (part.includes('/') ? parsePlace(part) : 0n))
  const before = { suspectTo: suspectTo ?? 0n, guilty: guilty ?? 0n, deaths: Number(text.slice(text.lastIndexOf(' '))) }
  const place = settled ?? 0n
  return { settled: place, started: place, suspicion: afterDeath(before, place, started ?? 0n) }
}

/** False when a later owner was here: nothing is written then. */
export async function writeLane(
  client: Client,
  stream: string,
  group: string,
  epoch: bigint,
  { settled, started, suspicion }: LaneState,
): Promise<boolean> {
  const places = [settled, started, suspicion.suspectTo, suspicion.guilty].map(formatPlace)
  const args = [group, String(epoch), `${places.join(' ')} ${suspicion.deaths}`]
  return (await runScript(client, writeScript, [groupsKey(stream)], args)) === 1
}

/** How a stream ends. */
export interface Tip {
  readonly id: string
  readonly log: bigint
}

export async function readTip(client: Client, stream: string): Promise<Tip> {
  const [id, log] = (await runScript(client, tipScript, [stream, laneKey(stream)], [])) as [string, string]
  return { id, log: BigInt(log) }
}
