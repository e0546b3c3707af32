-- Takes one batch, whole or not at all: if every target stands where it stood when the batch was decided.
-- KEYS: generation, writer, pending, targets…
-- ARGV: generation, writer, attempt, batch number, batch ('': nothing changes), lease ms, published, retention ms,
--   number of confirmed batches, these, for each target the token it must have ('': none), and then for each target:
--   new token ('': unchanged), version below which its lists are not complete, beginning of the keys of its lists,
--   number of lists, and for each: emoji, number of pairs, version, user, …, number of users to drop, user, …
-- Returns ok, lost, fenced, stale, or conflict with the places of the targets that have moved on.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local found = redis.call('HMGET', KEYS[1], 'id', 'run')
if found[1] ~= ARGV[1] or found[2] ~= run then
  return {'lost'}
end
local writer = redis.call('HMGET', KEYS[2], 'by', 'attempt')
if writer[1] ~= ARGV[2] then
  return {'fenced'}
end
if tonumber(writer[2]) >= tonumber(ARGV[3]) then
  return {'stale'}
end
redis.call('HSET', KEYS[2], 'attempt', ARGV[3], 'published', ARGV[7])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
local at = 10
for i = 1, tonumber(ARGV[9]) do
  redis.call('HDEL', KEYS[3], ARGV[at])
  at = at + 1
end

local standing, moved = {}, {}
for i = 4, #KEYS do
  local hot = redis.call('HMGET', KEYS[i], 'g', 't')
  standing[i] = hot[1] == ARGV[1] and hot[2] or ''
  if standing[i] ~= ARGV[at] then
    moved[#moved + 1] = i - 3
  end
  at = at + 1
end
if #moved > 0 then
  return {'conflict', unpack(moved)}
end
if ARGV[5] == '' then
  return {'ok'}
end
redis.call('HSET', KEYS[2], 'seq', ARGV[4])
redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
redis.call('PERSIST', KEYS[3])

local LIST, MOST = 1000, 4000
local ttl = tonumber(ARGV[8])
local function lists(hot)
  local emojis, fields = {}, redis.call('HKEYS', hot)
  for _, field in ipairs(fields) do
    if string.sub(field, 1, 2) == 'z:' then
      emojis[#emojis + 1] = string.sub(field, 3)
    end
  end
  return emojis
end

for i = 4, #KEYS do
  local key, token, base, list = KEYS[i], ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local groups = tonumber(ARGV[at + 3])
  at = at + 4
  if token ~= '' then
    if standing[i] == '' then
      for _, emoji in ipairs(lists(key)) do
        redis.call('DEL', list .. emoji)
      end
      redis.call('DEL', key)
      redis.call('HSET', key, 'g', ARGV[1], 'f', base)
    end
    redis.call('HSET', key, 't', token, 'n', ARGV[2], 's', ARGV[4])
  end
  for _ = 1, groups do
    local emoji, adds = ARGV[at], tonumber(ARGV[at + 1])
    local name = list .. emoji
    at = at + 2
    if redis.call('HSETNX', key, 'z:' .. emoji, '0') == 1 then
      redis.call('DEL', name)
    end
    for first = at, at + 2 * adds - 1, MOST do
      redis.call('ZADD', name, unpack(ARGV, first, math.min(first + MOST, at + 2 * adds) - 1))
    end
    at = at + 2 * adds
    local drops = tonumber(ARGV[at])
    at = at + 1
    for first = at, at + drops - 1, MOST do
      redis.call('ZREM', name, unpack(ARGV, first, math.min(first + MOST, at + drops) - 1))
    end
    at = at + drops
    local length = redis.call('ZCARD', name)
    if length > LIST then
      redis.call('HSET', key, 'z:' .. emoji, redis.call('ZREVRANGE', name, LIST, LIST, 'WITHSCORES')[2])
      redis.call('ZREMRANGEBYRANK', name, 0, length - LIST - 1)
    end
    if adds > 0 then
      redis.call('PEXPIRE', name, ttl)
    end
  end
  if token ~= '' and redis.call('PTTL', key) < ttl * 0.9 then
    redis.call('PEXPIRE', key, ttl)
    for _, emoji in ipairs(lists(key)) do
      redis.call('PEXPIRE', list .. emoji, ttl)
    end
  end
end
return {'ok'}
