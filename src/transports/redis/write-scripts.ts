import { createScript } from './script.ts'

// What writers keep of a lane, in the hash {stream}:evt:lane:
//
//   epoch      of the last leader of the log that was here
//   mark       log position up to which the lane has all that is for it
//   last       log position of its last entry: the next one's `prev`
//   ids        a or b: which set has the ids of the current duplicate window
//   since      when that window began, ms since the epoch, by the server's clock
//   top        no UUID in the current window is greater; `under` is the same of the previous one

/** The doorbell is a hint: a user who may not ring it has consumers that look every now and then. */
const ring = `redis.pcall('PUBLISH', ARGV[1], '')`

/**
 * Stores a batch in one lane, without what the duplicate window knows.
 *
 *   KEYS  stream, lane, ids:a, ids:b
 *   ARGV  bell, window in ms (0: none), most ids a window, least id when all are UUIDs, greatest UUID (each '' for none; id-range.ts),
 *         parts a message, packed parts (pack.ts): for each message id, meta, body and, with a broadcast, channel and payload
 *   gives ids of the entries, '-' for a duplicate, joined by spaces; and what stopped it: then only a prefix is stored
 *
 * An id is known for a window at least, unless more than that many came; ids go set by set, so that forgetting costs nothing. UUIDs
 * that are all greater than those of a set are not in it: nobody looks there. So ids that grow with time (UUIDv7, evt's own) cost least.
 */
export const publishScript = createScript(`
local window, most, width = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[6])
local parts = cmsgpack.unpack(ARGV[7])
local count = #parts / width
local seen, current, top, under = {}, nil, nil, nil
if window > 0 then
  local now = redis.call('TIME')
  now = now[1] * 1000 + math.floor(now[2] / 1000)
  local state = redis.call('HMGET', KEYS[2], 'ids', 'since', 'top', 'under')
  local a = state[1] ~= 'b'
  current = a and KEYS[3] or KEYS[4]
  local previous = a and KEYS[4] or KEYS[3]
  -- Greater than any UUID: what is not known proves nothing.
  top, under = state[3] or 'z', state[4] or 'z'
  local age = now - tonumber(state[2] or 0)
  if age >= window or age < 0 or redis.call('SCARD', current) + count > most then
    current, previous = previous, current
    top, under = '', top
    redis.call('UNLINK', current)
    if age >= 2 * window then
      redis.call('UNLINK', previous)
      under = ''
    end
    redis.call('HSET', KEYS[2], 'ids', a and 'b' or 'a', 'since', now, 'top', top, 'under', under)
  end
  local doubtful = {}
  if ARGV[4] == '' or ARGV[4] <= top then doubtful[1] = current end
  if ARGV[4] == '' or ARGV[4] <= under then doubtful[#doubtful + 1] = previous end
  if #doubtful > 0 then
    local ids = {}
    for i = 1, count do ids[i] = parts[(i - 1) * width + 1] end
    for _, key in ipairs(doubtful) do
      for i, found in ipairs(redis.call('SMISMEMBER', key, unpack(ids))) do
        if found == 1 then seen[ids[i]] = true end
      end
    end
  end
end
local stored, fresh, failure = {}, {}, false
for i = 1, count do
  local at = (i - 1) * width
  local id = parts[at + 1]
  if seen[id] then
    stored[i] = '-'
  else
    local added = redis.pcall('XADD', KEYS[1], '*', 'evt', parts[at + 2], 'body', parts[at + 3])
    if type(added) == 'table' then
      failure = added.err
      break
    end
    stored[i] = added
    if window > 0 then
      seen[id] = true
      fresh[#fresh + 1] = id
    end
    if width > 3 then redis.pcall('PUBLISH', parts[at + 4], parts[at + 5]) end
  end
end
if #fresh > 0 then
  redis.call('SADD', current, unpack(fresh))
  redis.call('PEXPIRE', current, 2 * window)
  if ARGV[5] > top then redis.call('HSET', KEYS[2], 'top', ARGV[5]) end
end
${ring}
return { table.concat(stored, ' '), failure }
`)

/**
 * Appends entries of the log to one lane, for one leader: all of them, or none.
 *
 *   KEYS  stream, lane
 *   ARGV  bell, epoch, mark and last as the leader knows them, mark and last afterwards, parts an entry, packed parts: for each entry
 *         meta, body and, with a broadcast, channel and payload
 *   gives 'stored', the ids joined by spaces and what stopped it · 'fenced' and the later epoch · 'moved', mark and last as they
 *         are: something was lost, or an earlier append whose answer was; nothing is written then
 *
 * The entries were chained by the leader, who knows what is there: mark and last say whether that is still true.
 */
export const appendScript = createScript(`
local state = redis.call('HMGET', KEYS[2], 'epoch', 'mark', 'last')
if tonumber(state[1] or 0) > tonumber(ARGV[2]) then return { 'fenced', state[1] } end
local mark, last = state[2] or '0', state[3] or '0'
if mark ~= ARGV[3] or last ~= ARGV[4] then return { 'moved', mark, last } end
local width, parts = tonumber(ARGV[7]), cmsgpack.unpack(ARGV[8])
local stored, failure = {}, false
for i = 1, #parts / width do
  local at = (i - 1) * width
  local added = redis.pcall('XADD', KEYS[1], '*', 'evt', parts[at + 1], 'body', parts[at + 2])
  if type(added) == 'table' then
    -- Only a stream that cannot take entries comes here, and it takes none.
    failure = added.err
    break
  end
  stored[i] = added
  if width > 2 then redis.pcall('PUBLISH', parts[at + 3], parts[at + 4]) end
end
if failure then return { 'stored', '', failure } end
redis.call('HSET', KEYS[2], 'epoch', ARGV[2], 'mark', ARGV[5], 'last', ARGV[6])
if #stored > 0 then ${ring} end
return { 'stored', table.concat(stored, ' '), failure }
`)

/**
 * A leader takes over a lane: from now on, former ones are fenced.
 *
 *   KEYS  lane
 *   ARGV  epoch
 *   gives mark and last; or nil and a later epoch
 */
export const leadScript = createScript(`
local state = redis.call('HMGET', KEYS[1], 'epoch', 'mark', 'last')
if tonumber(state[1] or 0) > tonumber(ARGV[1]) then return { false, state[1] } end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
return { state[2] or '0', state[3] or '0' }
`)
