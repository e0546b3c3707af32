-- Lets one writer be the next on targets that others change all the time: until its batch is taken, or its time is
-- over, batches of others are refused there. All of the targets or none, so that no two writers wait for each other.
-- KEYS: generation, targets…. ARGV: generation, writer, for how many ms (0: no longer).
-- Returns ok, lost, or busy: one of them is another's; then the writer has none of them any more.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local found = redis.call('HMGET', KEYS[1], 'id', 'run')
if found[1] ~= ARGV[1] or found[2] ~= run then
  return {'lost'}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wanted = tonumber(ARGV[3])
local free, mine = true, {}
for i = 2, #KEYS do
  local claim = redis.call('HMGET', KEYS[i], 'c', 'u')
  mine[i] = claim[1] == ARGV[2]
  if claim[1] and not mine[i] and tonumber(claim[2]) > now then
    free = false
  end
end
for i = 2, #KEYS do
  if not free or wanted == 0 then
    if mine[i] then
      redis.call('HDEL', KEYS[i], 'c', 'u')
    end
  elseif redis.call('EXISTS', KEYS[i]) == 1 then -- otherwise nobody has changed it
    redis.call('HSET', KEYS[i], 'c', ARGV[2], 'u', string.format('%.0f', now + wanted))
  end
end
return {free and 'ok' or 'busy'}
