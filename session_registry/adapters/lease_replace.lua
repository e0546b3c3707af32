-- Replaces the lease of the leading registry, if it is still the one that is expected.
--
-- KEYS: the lease. ARGV: term and renewal of the lease that is expected, "" twice where there is none; then the fields
-- of the new one. Returns 1, or 0 with nothing done.
local there = redis.call('HMGET', KEYS[1], 'term', 'renewal')
if (there[1] or '') ~= ARGV[1] or (there[2] or '') ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'holder', ARGV[3], 'address', ARGV[4], 'term', ARGV[5], 'renewal', ARGV[6],
  'ceiling', ARGV[7], 'lease', ARGV[8])
return 1
