import type { Cluster, Redis } from 'ioredis'
import { createScript, runScript, type Script } from './script.ts'

// Who is in a group and who owns which lane: the hash {topic}:evt:members:<group>.
//
//   m:<session>   `<beats> <1 when it claims lanes, else 0> <name>`
//   l:<lane>      `<epoch> <session, or - when it was released>`
//
// An owner that is no member owns nothing. The epoch of a lane grows with every owner, and is never below the server's clock in ms: so it
// also grows when all of this was lost.

export interface Member {
  readonly session: string
  readonly beats: string
  readonly joined: boolean
}

export interface Lease {
  readonly epoch: bigint
  readonly owner: string
}

export interface GroupBeat {
  readonly members: readonly Member[]
  readonly leases: ReadonlyMap<number, Lease>
}

/**
 *   ARGV  session, 1 or 0, name; then lane and epoch of each lane in hand
 *   gives the whole hash
 *
 * A lane in hand whose lease was lost, or given up for this member while it was silent, is its own again.
 */
const beatScript = createScript(`
local mine = redis.call('HGET', KEYS[1], 'm:' .. ARGV[1])
local beats = mine and tonumber(string.match(mine, '^%d+')) + 1 or 1
redis.call('HSET', KEYS[1], 'm:' .. ARGV[1], string.format('%.0f', beats) .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
for i = 4, #ARGV, 2 do
  local field = 'l:' .. ARGV[i]
  local lease = redis.call('HGET', KEYS[1], field)
  if not lease or lease == ARGV[i + 1] .. ' -' then
    redis.call('HSET', KEYS[1], field, ARGV[i + 1] .. ' ' .. ARGV[1])
  end
end
return redis.call('HGETALL', KEYS[1])
`)

/**
 *   ARGV  session; then lanes
 *   gives lane and epoch of each that is this session's now: those that nobody living owned, or it itself
 */
const claimScript = createScript(`
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local claimed = {}
for i = 2, #ARGV do
  local lease = redis.call('HGET', KEYS[1], 'l:' .. ARGV[i])
  local epoch, owner = 0, '-'
  if lease then epoch, owner = string.match(lease, '^(%d+) (.*)$') end
  if owner == '-' or owner == ARGV[1] or redis.call('HEXISTS', KEYS[1], 'm:' .. owner) == 0 then
    epoch = string.format('%.0f', math.max(tonumber(epoch) + 1, now))
    redis.call('HSET', KEYS[1], 'l:' .. ARGV[i], epoch .. ' ' .. ARGV[1])
    claimed[#claimed + 1] = ARGV[i]
    claimed[#claimed + 1] = epoch
  end
end
return claimed
`)

/** ARGV  session, lane, epoch. Only its owner frees a lane. */
const releaseScript = createScript(`
if redis.call('HGET', KEYS[1], 'l:' .. ARGV[2]) == ARGV[3] .. ' ' .. ARGV[1] then
  redis.call('HSET', KEYS[1], 'l:' .. ARGV[2], ARGV[3] .. ' -')
end
return 1
`)

/** ARGV  sessions, each with the beats at which it was found dead: one that has beaten since lives. */
const buryScript = createScript(`
for i = 1, #ARGV, 2 do
  local member = redis.call('HGET', KEYS[1], 'm:' .. ARGV[i])
  if member and string.match(member, '^%d+') == ARGV[i + 1] then redis.call('HDEL', KEYS[1], 'm:' .. ARGV[i]) end
end
return 1
`)

/** What one member says to the hash at `key`. Everything throws what the driver throws. */
export function createRegister(client: Redis | Cluster, key: string, session: string) {
  const run = (script: Script, ...args: readonly string[]) => runScript(client, script, [key], args)
  return {
    async beat(joined: boolean, name: string, held: readonly { index: number; epoch: bigint }[]): Promise<GroupBeat> {
      const lanes = held.flatMap(({ index, epoch }) => [String(index), String(epoch)])
      return readBeat((await run(beatScript, session, joined ? '1' : '0', name, ...lanes)) as readonly string[])
    },
    async claim(lanes: readonly number[]): Promise<readonly { readonly index: number; readonly epoch: bigint }[]> {
      const flat = (await run(claimScript, session, ...lanes.map(String))) as readonly string[]
      return pairs(flat).map(([index, epoch]) => ({ index: Number(index), epoch: BigInt(epoch) }))
    },
    release: async (index: number, epoch: bigint) =>
      void (await run(releaseScript, session, String(index), String(epoch))),
    bury: async (dead: readonly Member[]) =>
      void (await run(buryScript, ...dead.flatMap((member) => [member.session, member.beats]))),
    leave: async () => void (await client.hdel(key, `m:${session}`)),
  }
}

function readBeat(flat: readonly string[]): GroupBeat {
  const members: Member[] = []
  const leases = new Map<number, Lease>()
  for (const [field, value] of pairs(flat)) {
    const [first = '', second = ''] = value.split(' ', 2)
    if (field.startsWith('m:')) members.push({ session: field.slice(2), beats: first, joined: second === '1' })
    else if (field.startsWith('l:')) leases.set(Number(field.slice(2)), { epoch: BigInt(first), owner: second })
  }
  return { members, leases }
}

function pairs(flat: readonly string[]): readonly (readonly [string, string])[] {
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] ?? '', flat[2 * i + 1] ?? ''])
}
