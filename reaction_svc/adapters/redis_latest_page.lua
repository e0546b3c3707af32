-- The latest holders in some lists of one target. KEYS: head, lists. ARGV: the version wanted, version to begin below (0:
-- any), limit, the emoji of the lists. Returns ok and for each list the version down to which it is complete, and user,
-- version, …; or behind, or unknown.
local there = redis.call('HGET', KEYS[1], 'v')
if not there then
  return {'unknown'}
end
if #there < #ARGV[1] or (#there == #ARGV[1] and there < ARGV[1]) then
  return {'behind'}
end
local below = ARGV[2] == '0' and '+inf' or '(' .. ARGV[2]
local lists = {}
for i = 2, #KEYS do
  local floor = redis.call('HGET', KEYS[1], 'z:' .. ARGV[i + 2])
  if floor then
    lists[i - 1] = {floor, redis.call('ZREVRANGEBYSCORE', KEYS[i], below, '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])}
  else
    lists[i - 1] = {'0', {}}
  end
end
return {'ok', lists}
