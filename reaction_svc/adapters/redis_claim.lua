-- Lets one writer be the next on targets that others change, too: until its batch is taken, or its time is over, batches
-- of others are refused there. All of the targets or none, so that no two writers wait for each other; and in turn: who
-- is refused waits in the order of its first attempt.
-- KEYS: generation, targets…. ARGV: generation, writer, for how many ms (0: no longer), for how many ms it waits, its
--   place in the order ('' at the first attempt).
-- Returns lost; or ok, or busy, and its place. Where it is busy the writer has none of the targets any more.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local found = redis.call('HMGET', KEYS[1], 'id', 'run')
if found[1] ~= ARGV[1] or found[2] ~= run then
  return {'lost'}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wanted, place = tonumber(ARGV[3]), ARGV[5]
if place == '' then
  place = string.format('%s.%06d %s', time[1], time[2], ARGV[2])
end
local free, kept, behind = true, {}, {}
for i = 2, #KEYS do
  local hot = redis.call('HMGET', KEYS[i], 't', 'c', 'u', 'w', 'v')
  kept[i] = hot[1] -- without a token, nobody has changed it
  behind[i] = hot[4] and hot[4] < place and tonumber(hot[5]) > now
  if behind[i] or hot[2] and hot[2] ~= ARGV[2] and tonumber(hot[3]) > now then
    free = false
  end
  if hot[2] == ARGV[2] then
    redis.call('HDEL', KEYS[i], 'c', 'u')
  end
  if hot[4] == place then
    redis.call('HDEL', KEYS[i], 'w', 'v')
  end
end
if wanted == 0 then
  return {'ok', ''}
end
for i = 2, #KEYS do
  if kept[i] and free then
    redis.call('HSET', KEYS[i], 'c', ARGV[2], 'u', string.format('%.0f', now + wanted))
  elseif kept[i] and not behind[i] then
    redis.call('HSET', KEYS[i], 'w', place, 'v', string.format('%.0f', now + tonumber(ARGV[4])))
  end
end
return {free and 'ok' or 'busy', place}
