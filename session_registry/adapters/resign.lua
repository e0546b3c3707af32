-- Gives up the lease of the leader, if it is still the one of who asks.
--
-- KEYS: as of `leader.lua`. ARGV: id of who asks, the largest epoch it has given.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
-- Nothing was given beyond it, so that epochs need not run ahead of the clock.
redis.call('HSET', KEYS[2], 'epoch', ARGV[2], 'until', 0)
return 1
