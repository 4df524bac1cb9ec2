import { createScript } from './script.ts'

// What writers keep of a lane, in the hash {stream}:evt:lane:
//
//   epoch      of the last leader of the log that was here
//   mark       log position up to which the lane has all that is for it
//   last       log position of its last entry: the next one's `prev`
//   ids        a or b: which set, and which runs, have the ids of the current duplicate window
//   since      when that window began, ms since the epoch, by the server's clock
//   top        no UUID in the current set is greater; `under` is the same of the previous one
//   inRuns     how many ids the current runs have

/** The doorbell is a hint: a user who may not ring it has consumers that look every now and then. */
const ring = `redis.pcall('PUBLISH', ARGV[1], '')`

/**
 * Stores a batch in one lane, without what the duplicate window knows.
 *
 *   KEYS  stream, lane, ids:a, ids:b, runs:a, runs:b
 *   ARGV  bell, window in ms (0: none), most ids a window, least id when all are UUIDs, greatest UUID (each '' for none), the batch as
 *         a run or '' (id-range.ts), else packed ids (pack.ts), parts a message, packed parts: for each message meta, body and, with a
 *         broadcast, channel and payload
 *   gives ids of the entries, '-' for a duplicate, joined by spaces; and what stopped it: then only a prefix is stored
 *
 * An id is known for a window at least, unless more than that many came; ids go set by set, so that forgetting costs nothing. UUIDs
 * that are all greater than those of a set are not in it: nobody looks there.
 *
 * Ids that grow with time (UUIDv7, evt's own) cost least: a batch of them is one member of a sorted set, its run, when they are greater
 * than what the sets have and no run reaches into their range. So the runs of a window lie apart, and only the first one whose greatest
 * id is not below an id can have it.
 */
export const publishScript = createScript(`
local window, most, least, greatest, run = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local width, parts = tonumber(ARGV[8]), cmsgpack.unpack(ARGV[9])
local count = #parts / width
local ids, seen, current, runs, top = nil, {}, nil, nil, nil
local function reaching(key, id)
  local found = redis.call('ZRANGEBYLEX', key, '[' .. id, '+', 'LIMIT', 0, 1)[1]
  if found and string.sub(found, -36) <= greatest then return found end
end
local function recall(key)
  local last = redis.call('ZRANGE', key, -1, -1)[1]
  if not last then return end
  local recalled, past = {}, ''
  for _, id in ipairs(ids) do
    -- In a run, whoever is not past the last one found is in that one or in none.
    if id <= last and (run == '' or id > past) then
      local found = reaching(key, id)
      past = found and string.sub(found, 1, 36) or 'z'
      if found and not recalled[found] then
        recalled[found] = true
        for each in string.gmatch(found, '%S+') do seen[each] = true end
      end
    end
  end
end
if window > 0 then
  local now = redis.call('TIME')
  now = now[1] * 1000 + math.floor(now[2] / 1000)
  local state = redis.call('HMGET', KEYS[2], 'ids', 'since', 'top', 'under', 'inRuns')
  local at = state[1] == 'b' and 4 or 3
  -- Greater than any UUID: what is not known proves nothing.
  top = state[3] or 'z'
  local under = state[4] or 'z'
  local age = now - tonumber(state[2] or 0)
  if age >= window or age < 0 or redis.call('SCARD', KEYS[at]) + tonumber(state[5] or 0) + count > most then
    at = 7 - at
    top, under = '', top
    redis.call('UNLINK', KEYS[at], KEYS[at + 2])
    if age >= 2 * window then
      redis.call('UNLINK', KEYS[7 - at], KEYS[9 - at])
      under = ''
    end
    redis.call('HSET', KEYS[2], 'ids', at == 4 and 'b' or 'a', 'since', now, 'top', top, 'under', under, 'inRuns', 0)
  end
  local previous, earlier = KEYS[7 - at], KEYS[9 - at]
  current, runs = KEYS[at], KEYS[at + 2]
  local doubtful = {}
  if least == '' or least <= top then doubtful[1] = current end
  if least == '' or least <= under then doubtful[#doubtful + 1] = previous end
  if run == '' or #doubtful > 0 or reaching(runs, least) or reaching(earlier, least) then
    ids = run == '' and cmsgpack.unpack(ARGV[7]) or {}
    local last = count
    for id in string.gmatch(run, '%S+') do
      ids[last] = id
      last = last - 1
    end
    for _, key in ipairs(doubtful) do
      for i, found in ipairs(redis.call('SMISMEMBER', key, unpack(ids))) do
        if found == 1 then seen[ids[i]] = true end
      end
    end
    recall(runs)
    recall(earlier)
  end
end
if window > 0 then
  -- What is remembered is remembered after the entries are there: whoever may not write it writes nothing.
  local needed = ids and { { 'SADD', current, '' }, { 'PEXPIRE', current, 1 } } or
    { { 'ZADD', runs, 0, '' }, { 'PEXPIRE', runs, 1 }, { 'HINCRBY', KEYS[2], 'inRuns', 1 } }
  for _, command in ipairs(needed) do
    if not redis.acl_check_cmd(unpack(command)) then
      return redis.error_reply('NOPERM this user has no permissions to run the ' .. command[1] .. ' command')
    end
  end
end
local stored, fresh, failure = {}, {}, false
for i = 1, count do
  local at = (i - 1) * width
  if ids and seen[ids[i]] then
    stored[i] = '-'
  else
    local added = redis.pcall('XADD', KEYS[1], '*', 'evt', parts[at + 1], 'body', parts[at + 2])
    if type(added) == 'table' then
      failure = added.err
      break
    end
    stored[i] = added
    if ids then
      seen[ids[i]] = true
      fresh[#fresh + 1] = ids[i]
    end
    if width > 2 then redis.pcall('PUBLISH', parts[at + 3], parts[at + 4]) end
  end
end
if #fresh > 0 then
  redis.call('SADD', current, unpack(fresh))
  redis.call('PEXPIRE', current, 2 * window)
  if greatest > top then redis.call('HSET', KEYS[2], 'top', greatest) end
elseif window > 0 and not ids and #stored > 0 then
  -- Greatest first: what is stored of a run is its end.
  redis.call('ZADD', runs, 0, string.sub(run, 1 - 37 * #stored))
  redis.call('PEXPIRE', runs, 2 * window)
  redis.call('HINCRBY', KEYS[2], 'inRuns', #stored)
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
