-- Puts the latest reactors of one target as they were read at a version, unless what is there is as new.
-- KEYS: head, a list for each emoji. ARGV: version, ms to keep; then for each list: emoji, version down to which it is
-- complete, number of rows, and these: version, user.
local there = redis.call('HGET', KEYS[1], 'v')
if there and (#there > #ARGV[1] or (#there == #ARGV[1] and there >= ARGV[1])) then
  return 'old'
end
redis.call('DEL', unpack(KEYS))
local at = 3
for i = 2, #KEYS do
  redis.call('HSET', KEYS[1], 'z:' .. ARGV[at], ARGV[at + 1])
  local rows = tonumber(ARGV[at + 2])
  at = at + 3
  for row = at, at + 2 * rows - 2, 2 do
    redis.call('ZADD', KEYS[i], ARGV[row], ARGV[row + 1])
  end
  at = at + 2 * rows
  redis.call('PEXPIRE', KEYS[i], 2 * ARGV[2])
end
redis.call('HSET', KEYS[1], 'v', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'ok'
