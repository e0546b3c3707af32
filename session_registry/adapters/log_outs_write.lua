-- Writes log outs in one term.
--
-- KEYS: the log outs, a hash by user. ARGV: term; milliseconds they are kept; then user and record of each, "" to remove
-- it. The field "" holds the newest term.
-- Returns 1, or 0 with nothing done where a later term has written.
local last = redis.call('HGET', KEYS[1], '')
if last and tonumber(last) > tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], '', ARGV[1])
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
