import { createScript } from './script.ts'

// What writers keep of a lane, in the hash {stream}:evt:lane:
//
//   epoch      of the last leader of the log that was here
//   mark       log position up to which the lane has all that is for it
//   last       log position of its last entry: the next one's `prev`
//   ids        a or b: which set has the ids of the current duplicate window
//   since      when that window began, ms since the epoch, by the server's clock

/** The doorbell is a hint: a user who may not ring it has consumers that look every now and then. */
const ring = `redis.pcall('PUBLISH', ARGV[1], '')`

/** A bodies' worth of arguments a message: with a broadcast prefix, channel and payload follow. */
const publishBody = `
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local window, most, width = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local count = (#ARGV - 4) / width
local seen, current = {}, nil
if window > 0 then
  local ids = {}
  for i = 1, count do ids[i] = ARGV[5 + (i - 1) * width] end
  local state = redis.call('HMGET', KEYS[2], 'ids', 'since')
  local a = state[1] ~= 'b'
  current = a and KEYS[3] or KEYS[4]
  local previous = a and KEYS[4] or KEYS[3]
  local age = now - tonumber(state[2] or 0)
  if age >= window or age < 0 or redis.call('SCARD', current) + count > most then
    current, previous = previous, current
    redis.call('UNLINK', current)
    redis.call('HSET', KEYS[2], 'ids', a and 'b' or 'a', 'since', now)
    if age >= 2 * window then redis.call('UNLINK', previous) end
  end
  for _, key in ipairs({ current, previous }) do
    for i, found in ipairs(redis.call('SMISMEMBER', key, unpack(ids))) do
      if found == 1 then seen[ids[i]] = true end
    end
  end
end
local stored, fresh, failure = {}, {}, false
for i = 1, count do
  local at = 5 + (i - 1) * width
  local id = ARGV[at]
  if seen[id] then
    stored[i] = '-'
  else
    local added = redis.pcall('XADD', KEYS[1], '*', 'evt', ARGV[at + 1], 'body', ARGV[at + 2])
    if type(added) == 'table' then
      failure = added.err
      break
    end
    stored[i] = added
    if window > 0 then
      seen[id] = true
      fresh[#fresh + 1] = id
    end
    if width > 3 then redis.pcall('PUBLISH', ARGV[at + 3], ARGV[at + 4]) end
  end
end
if #fresh > 0 then
  redis.call('SADD', current, unpack(fresh))
  redis.call('PEXPIRE', current, 2 * window)
end
${ring}
return { table.concat(stored, ' '), failure }
`

/**
 * Stores a batch in one lane, without what the duplicate window knows.
 *
 *   KEYS  stream, lane, ids:a, ids:b
 *   ARGV  bell, window in ms (0: none), most ids a window, arguments a message; then for each message: id, meta, body and, with
 *         a broadcast, channel and payload
 *   gives ids of the entries, '-' for a duplicate, joined by spaces; and what stopped it: then only a prefix is stored
 *
 * An id is known for a window at least, unless more than that many came; ids go set by set, so that forgetting costs nothing.
 */
export const publishScript = createScript(publishBody)

/**
 * Appends entries of the log to one lane, for one leader.
 *
 *   KEYS  stream, lane
 *   ARGV  bell, epoch, the mark that the leader knows of ('' for none), through, arguments an entry; then for each entry: log
 *         position, meta, body and, with a broadcast, channel and payload
 *   gives 'stored', ids as above and what stopped it · 'fenced' and the later epoch · 'behind' and the mark, which fell: nothing is
 *         written then
 *
 * The mark never falls by this script; entries up to it are duplicates. prev chains the entries, whatever happens to them later.
 */
export const appendScript = createScript(`
local state = redis.call('HMGET', KEYS[2], 'epoch', 'mark', 'last')
if tonumber(state[1] or 0) > tonumber(ARGV[2]) then return { 'fenced', state[1] } end
local mark, last = tonumber(state[2] or 0), state[3] or '0'
if ARGV[3] ~= '' and mark < tonumber(ARGV[3]) then return { 'behind', state[2] or '0' } end
local width = tonumber(ARGV[5])
local stored, failure, through = {}, false, ARGV[4]
for i = 1, (#ARGV - 5) / width do
  local at = 6 + (i - 1) * width
  local log = ARGV[at]
  if tonumber(log) <= mark then
    stored[i] = '-'
  else
    local added = redis.pcall('XADD', KEYS[1], '*', 'evt', ARGV[at + 1], 'log', log, 'prev', last, 'body', ARGV[at + 2])
    if type(added) == 'table' then
      failure, through = added.err, last
      break
    end
    stored[i], last = added, log
    if width > 3 then redis.pcall('PUBLISH', ARGV[at + 3], ARGV[at + 4]) end
  end
end
if tonumber(through) < mark then through = state[2] end
redis.call('HSET', KEYS[2], 'epoch', ARGV[2], 'mark', through, 'last', last)
if #stored > 0 then ${ring} end
return { 'stored', table.concat(stored, ' '), failure }
`)

/**
 * A leader takes over a lane: from now on, former ones are fenced.
 *
 *   KEYS  lane
 *   ARGV  epoch
 *   gives the mark; or nil and a later epoch
 */
export const leadScript = createScript(`
local state = redis.call('HMGET', KEYS[1], 'epoch', 'mark')
if tonumber(state[1] or 0) > tonumber(ARGV[1]) then return { false, state[1] } end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
return { state[2] or '0' }
`)
