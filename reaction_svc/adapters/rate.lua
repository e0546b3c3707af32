-- Token buckets of many users at once, by the server's clock (GCRA, ITU-T I.371).
--
-- KEYS: one bucket each, holding the time at which it will be full again, in microseconds since 1970; none: it is full.
-- ARGV: microseconds per token, microseconds to fill a bucket, then for each key how many tokens are wanted.
-- Returns for each key how many were taken, then for each the microseconds until there will be another.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local token, depth = tonumber(ARGV[1]), tonumber(ARGV[2])
local taken, waits = {}, {}
for i, key in ipairs(KEYS) do
  local wanted = tonumber(ARGV[i + 2])
  -- Never fuller than full, never emptier than empty: so a clock set back locks nobody out.
  local full_at = math.min(math.max(tonumber(redis.call('GET', key) or now), now), now + depth)
  -- A microsecond of slack: whoever waits exactly as long as told is not refused for a rounding error.
  local passed = math.min(wanted, math.floor((now + depth + 1 - full_at) / token))
  if passed > 0 then
    full_at = full_at + passed * token
    redis.call('SET', key, string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
  end
  taken[i] = passed
  waits[i] = math.max(0, math.ceil(full_at + token - now - depth))
end
for i = 1, #waits do
  taken[#taken + 1] = waits[i]
end
return taken
