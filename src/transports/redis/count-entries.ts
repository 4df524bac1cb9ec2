import type { Cluster, Redis } from 'ioredis'
import { firstId } from './entry-id.ts'
import { createScript, runScript } from './script.ts'

/** Entries that one call counts at most: Redis does nothing else meanwhile. */
const mostAtOnce = 5_000

/**
 *   KEYS  stream
 *   ARGV  from which id, until which, how many at most
 *   gives how many there are, and the last one's id, '' when that were all
 *
 * Reads in pieces of about 1 MiB: entries may be big, and there is no way to count them without reading.
 */
const countScript = createScript(`
local usage = redis.pcall('MEMORY', 'USAGE', KEYS[1])
local length = redis.call('XLEN', KEYS[1])
local mean = 1024
if type(usage) == 'number' and length > 0 then mean = usage / length end
local piece = math.max(1, math.min(500, math.floor(1048576 / mean)))
local count, from = 0, ARGV[1]
while count < tonumber(ARGV[3]) do
  local page = redis.call('XRANGE', KEYS[1], from, ARGV[2], 'COUNT', piece)
  count = count + #page
  if #page < piece then return { count, '' } end
  from = '(' .. page[#page][1]
end
return { count, from }
`)

interface Count {
  readonly entries: number
  /** Where to go on; '' at the end. */
  readonly from: string
}

/**
 * How many entries lie after `id`. Redis cannot tell (its own lag lies after a trim): they are counted, from the id on and from the front of
 * the stream by turns, so that it costs the shorter of the two ways.
 */
export async function countAfter(client: Redis | Cluster, stream: string, id: string): Promise<number> {
  const count = async (before: Count, until: string): Promise<Count> => {
    const [entries, from] = (await runScript(client, countScript, [stream], [before.from, until, mostAtOnce])) as [
      number,
      string,
    ]
    return { entries: before.entries + entries, from }
  }
  let behind: Count = { entries: 0, from: `(${id}` }
  let ahead: Count = { entries: 0, from: '-' }
  if (id === firstId) return client.xlen(stream)
  for (;;) {
    behind = await count(behind, '+')
    if (behind.from === '') return behind.entries
    ahead = await count(ahead, id)
    if (ahead.from === '') return Math.max(0, (await client.xlen(stream)) - ahead.entries)
  }
}
