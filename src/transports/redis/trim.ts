import type { RedisConnections } from './connect.ts'
import type { RedisOptions } from './options.ts'
import { createScript, runScript } from './script.ts'
import { groupsKey } from './topic.ts'

const trimMs = 5_000
/** Entries that one trim removes at most: Redis does nothing else meanwhile. */
const maxTrimmed = 20_000

/** Removes from streams what every group has settled. */
export interface Trimmer {
  /** Something happened in this stream: it is looked at within 5 s. */
  touch(stream: string): void
  /** Now, as many times as there is much to remove: the entries that went. */
  trim(stream: string): Promise<number>
  close(): void
}

/**
 * Removes entries from the front of a stream, whole nodes of it only (some 100 entries).
 *
 *   KEYS  stream, groups
 *   ARGV  entries to keep, most to remove, ms to keep or ''
 *   gives how many went
 *
 * Never what a group of ours has not settled, nor what a plain group of the stream has not read or not acknowledged; nothing where
 * there is no group at all, unless a time to keep was given.
 */
const trimScript = createScript(`
local function before(a, b)
  local am, an = string.match(a, '^(%d+)-(%d+)$')
  local bm, bn = string.match(b, '^(%d+)-(%d+)$')
  if #am ~= #bm then return #am < #bm end
  if am ~= bm then return am < bm end
  if #an ~= #bn then return #an < #bn end
  return an < bn
end
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local excess = redis.call('XLEN', KEYS[1]) - tonumber(ARGV[1])
if excess <= 0 then return 0 end
local least = nil
local function atMost(id)
  if least == nil or before(id, least) then least = id end
end
local ours = redis.call('HVALS', KEYS[2])
for _, state in ipairs(ours) do atMost(string.match(state, '^%d+ (%d+%-%d+)')) end
for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for i = 1, #info, 2 do group[info[i]] = info[i + 1] end
  atMost(group['last-delivered-id'])
  if group['pending'] > 0 then
    local oldest = redis.call('XPENDING', KEYS[1], group['name'])[2]
    if oldest then atMost(oldest) end
  end
end
if ARGV[3] ~= '' then
  local now = redis.call('TIME')
  atMost(string.format('%.0f-0', now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(ARGV[3])))
end
if least == nil then return 0 end
return redis.call('XTRIM', KEYS[1], 'MINID', '~', least, 'LIMIT', math.min(excess, tonumber(ARGV[2])))
`)

export function createTrimmer({ client }: RedisConnections, { retain }: RedisOptions): Trimmer {
  const touched = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let closed = false

  const [entries, ms] = 'entries' in retain ? [String(retain.entries), ''] : ['0', String(retain.ms)]

  async function trim(stream: string): Promise<number> {
    let total = 0
    for (;;) {
      const args = [entries, String(maxTrimmed), ms]
      const gone = Number(await runScript(client, trimScript, [stream, groupsKey(stream)], args))
      total += gone
      if (gone < maxTrimmed / 2 || closed) return total
    }
  }

  async function trimAll(): Promise<void> {
    const streams = [...touched]
    touched.clear()
    for (const stream of streams) if (!closed) await trim(stream).catch(() => touched.add(stream))
  }

  const trimmer: Trimmer = {
    touch(stream) {
      touched.add(stream)
      if (closed) return
      timer ??= setTimeout(() => {
        timer = undefined
        void trimAll()
      }, trimMs).unref()
    },
    trim,
    close() {
      closed = true
      clearTimeout(timer)
    },
  }
  return trimmer
}
