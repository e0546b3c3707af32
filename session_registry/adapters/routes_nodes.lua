-- Writes nodes of one term.
--
-- KEYS: the nodes. ARGV: term; "1" to begin; then id and value of each node, "" for one that is gone.
-- The node "" says in which term the nodes were written.
-- Returns 1, or with nothing done 0 where a later term wrote them, -1 where this term has not, or it is lost.
local last = redis.call('HGET', KEYS[1], '')
if last and tonumber(last) > tonumber(ARGV[1]) then
  return 0
end
if ARGV[2] == '1' then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], '', ARGV[1])
elseif last ~= ARGV[1] then
  return -1
end
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return 1
