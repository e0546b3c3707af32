-- The token bucket of one user, by the server's clock (GCRA, ITU-T I.371).
--
-- KEYS: the bucket, holding the time at which it will be full again, in microseconds since 1970; none: it is full.
-- ARGV: microseconds per token, microseconds to fill a bucket, how many tokens are wanted.
-- Returns how many were taken, and the microseconds until there will be another.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local token, depth, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
-- Never fuller than full, never emptier than empty: so a clock set back locks nobody out.
local full_at = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or now), now), now + depth)
-- A microsecond of slack: a caller that waits exactly as long as it was asked to is not refused for a rounding error.
local taken = math.min(wanted, math.floor((now + depth + 1 - full_at) / token))
if taken > 0 then
  full_at = full_at + taken * token
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
end
return {taken, math.max(0, math.ceil(full_at + token - now - depth))}
