-- Brings the latest reactors of one target from one version to a later one.
-- KEYS: head, a list for each emoji. ARGV: version before (-1: not known), version after, ms to keep, most per list; then
-- for each list: emoji, number of rows, and these: version (0: no longer held), user.
-- The head is a hash: `v` the version, `z:<emoji>` the version down to which the list of the emoji is complete (0: whole).
-- Versions have more digits than a Lua number, and all as many: they compare as text.
local there = redis.call('HGET', KEYS[1], 'v')
if there and (#there > #ARGV[2] or (#there == #ARGV[2] and there >= ARGV[2])) then
  return 'old'
end
if there ~= ARGV[1] and not (not there and ARGV[1] == '0') then
  -- Something between is missing: nothing is known of the target until it is filled again.
  redis.call('DEL', KEYS[1])
  return 'gap'
end
local most = tonumber(ARGV[4])
local at = 5
for i = 2, #KEYS do
  local emoji, rows = ARGV[at], tonumber(ARGV[at + 1])
  at = at + 2
  if redis.call('HSETNX', KEYS[1], 'z:' .. emoji, '0') == 1 then
    redis.call('DEL', KEYS[i])
  end
  for row = at, at + 2 * rows - 2, 2 do
    if ARGV[row] == '0' then
      redis.call('ZREM', KEYS[i], ARGV[row + 1])
    else
      redis.call('ZADD', KEYS[i], ARGV[row], ARGV[row + 1])
    end
  end
  at = at + 2 * rows
  local length = redis.call('ZCARD', KEYS[i])
  if length > most then
    redis.call('HSET', KEYS[1], 'z:' .. emoji, redis.call('ZREVRANGE', KEYS[i], most, most, 'WITHSCORES')[2])
    redis.call('ZREMRANGEBYRANK', KEYS[i], 0, length - most - 1)
  end
  redis.call('PEXPIRE', KEYS[i], 2 * ARGV[3])
end
redis.call('HSET', KEYS[1], 'v', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 'ok'
