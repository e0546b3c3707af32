-- Takes or renews the lease of the leader.
--
-- KEYS: the lease, a hash of id, address and term that expires with it; what outlives it, a hash of term, epoch and the
--       time until which somebody may lead.
-- ARGV: id and address of who asks, the lease in milliseconds, the largest epoch it knows of, the term it leads in or 0.
-- Returns {the term it leads in now or 0, the time in microseconds, the epoch no leader has gone beyond,
--          address of the leader, milliseconds until its lease is over}.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local id, address, lease, highest, term = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local function whole(number) return string.format('%.0f', number) end
local holder = redis.call('HGET', KEYS[1], 'id')
if holder and holder ~= id then
  return {'0', whole(now), '0', redis.call('HGET', KEYS[1], 'address'), redis.call('PTTL', KEYS[1])}
end
local last = tonumber(redis.call('HGET', KEYS[2], 'term') or 0)
local ceiling = tonumber(redis.call('HGET', KEYS[2], 'epoch') or 0)
-- Who leads goes on in its term, also where all was lost: a later term would be here.
if term == 0 or last > term then
  if not holder then
    -- A lease that was lost and not given up or over is still one: where nothing is known it may have begun just now.
    local over = math.min(tonumber(redis.call('HGET', KEYS[2], 'until') or now + lease * 1000), now + lease * 1000)
    if now < over then
      redis.call('HSET', KEYS[2], 'until', whole(over))
      return {'0', whole(now), '0', '', math.ceil((over - now) / 1000)}
    end
  end
  term = math.max(now, last + 1, ceiling + 1, highest + 1)
end
-- While the lease lasts the leader gives epochs up to this, as time goes on; and should it end, no leader ever went
-- beyond it. So it is hardly ahead of the clock when the next one begins.
ceiling = math.max(ceiling, math.max(now, highest, term) + lease * 1000)
redis.call('HSET', KEYS[1], 'id', id, 'address', address, 'term', whole(term))
redis.call('PEXPIRE', KEYS[1], lease)
redis.call('HSET', KEYS[2], 'term', whole(term), 'epoch', whole(ceiling), 'until', whole(now + lease * 1000))
return {whole(term), whole(now), whole(ceiling), address, lease}
