-- Writes nodes and routes of one term.
--
-- KEYS: what outlives a lease (see `leader.lua`), the nodes, then a hash of routes per change of a route.
-- ARGV: term; milliseconds a route is kept; "1" to begin; how many changes of nodes; id and value of each, "" for one
--       that is gone; then for each change of a route its field, its epoch, and its value or "" for one that ended.
-- A node's value begins with `[epoch,`, a route's with `epoch|`. The node "" says in which term the nodes were written.
-- Returns 1, or with nothing done 0 where a later term has begun, -1 where what was written is lost.
local term = tonumber(ARGV[1])
local last = tonumber(redis.call('HGET', KEYS[1], 'term') or 0)
if last > term then
  return 0
end
if ARGV[3] == '1' then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], '', ARGV[1])
elseif last == 0 or redis.call('HGET', KEYS[2], '') ~= ARGV[1] then
  return -1
end
local at = 5
for _ = 1, tonumber(ARGV[4]) do
  if ARGV[at + 1] == '' then
    redis.call('HDEL', KEYS[2], ARGV[at])
  else
    redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
  end
  at = at + 2
end
for i = 3, #KEYS do
  local field, epoch, value = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2]
  local there = redis.call('HGET', KEYS[i], field)
  if not there or tonumber(string.match(there, '^%d+')) <= epoch then
    if value == '' then
      redis.call('HDEL', KEYS[i], field)
    else
      redis.call('HSET', KEYS[i], field, value)
      redis.call('PEXPIRE', KEYS[i], ARGV[2])
    end
  end
  at = at + 3
end
return 1
