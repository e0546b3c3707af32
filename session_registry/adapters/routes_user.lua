-- Writes routes of one user in one term.
--
-- KEYS: the routes of the user, a hash. ARGV: term; milliseconds a route is kept; then for each change its field, its
-- epoch, and its value or "" for one that ended. A value begins with `epoch|`. The field "" holds the newest term.
-- Returns 1, or 0 with nothing done where a later term has written.
local last = redis.call('HGET', KEYS[1], '')
if last and tonumber(last) > tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], '', ARGV[1])
for i = 3, #ARGV, 3 do
  local field, epoch, value = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local there = redis.call('HGET', KEYS[1], field)
  if not there or tonumber(string.match(there, '^%d+')) <= epoch then
    if value == '' then
      redis.call('HDEL', KEYS[1], field)
    else
      redis.call('HSET', KEYS[1], field, value)
    end
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
