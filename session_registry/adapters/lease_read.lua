-- Reads the lease of the leading registry.
--
-- KEYS: the lease. Returns the server's time in microseconds, and where there is a lease its fields.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {now}
end
return {now, unpack(redis.call('HMGET', KEYS[1], 'holder', 'address', 'term', 'renewal', 'ceiling', 'lease'))}
