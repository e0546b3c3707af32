-- The latest holders of one emoji of a target, or of each. KEYS: generation, target.
-- ARGV: generation, beginning of the keys of the target's lists, emoji ('': each), version to begin below, limit.
-- Returns ok and for each emoji: itself, the version its list is complete down to, user, version, …; or nothing known.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local found = redis.call('HMGET', KEYS[1], 'id', 'run')
local hot = redis.call('HMGET', KEYS[2], 'g', 'f')
if found[1] ~= ARGV[1] or found[2] ~= run or hot[1] ~= ARGV[1] then
  return {'unknown'}
end
local lists, fields = {}, redis.call('HGETALL', KEYS[2])
local below = ARGV[4] == '0' and '+inf' or '(' .. ARGV[4]
local wanted = ARGV[3]
for i = 1, #fields, 2 do
  local emoji = string.sub(fields[i], 3)
  if string.sub(fields[i], 1, 2) == 'z:' and (wanted == '' or wanted == emoji) then
    local floor = fields[i + 1]
    if tonumber(floor) < tonumber(hot[2]) then
      floor = hot[2]
    end
    local rows = redis.call('ZREVRANGEBYSCORE', ARGV[2] .. emoji, below, '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[5])
    lists[#lists + 1] = {emoji, floor, rows}
  end
end
return {'ok', lists, hot[2]}
