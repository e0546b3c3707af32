-- Takes one batch, whole or not at all: if every target stands where it stood when the batch was decided.
-- KEYS: generation, writer, pending, targets…
-- ARGV: generation, writer, attempt, batch number, batch ('': nothing changes), lease ms, published, retention ms,
--   number of confirmed batches, these, for each target the token it must have ('': none), and then, in MessagePack,
--   for each target: new token ('': unchanged), version down to which its lists are not complete, beginning of the keys
--   of its lists, and for each list: emoji, {version, user, …} added, {user, …} dropped
-- Returns ok, lost, fenced, stale, or conflict with the places of the targets that have moved on, or that another
-- writer has claimed; its own claims are over.
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

local function lasts(till)
  local time = redis.call('TIME')
  return tonumber(till) > time[1] * 1000 + math.floor(time[2] / 1000)
end

local standing, moved, claimed = {}, {}, {}
for i = 4, #KEYS do
  local hot = redis.call('HMGET', KEYS[i], 'g', 't', 'c', 'u')
  standing[i] = hot[1] == ARGV[1] and hot[2] or ''
  if hot[3] == ARGV[2] then
    claimed[#claimed + 1] = KEYS[i]
  end
  local others = ARGV[5] ~= '' and hot[3] and hot[3] ~= ARGV[2] and lasts(hot[4])
  if others or standing[i] ~= ARGV[at] then
    moved[#moved + 1] = i - 3
  end
  at = at + 1
end
if #moved > 0 then
  return {'conflict', unpack(moved)}
end
for _, key in ipairs(claimed) do
  redis.call('HDEL', key, 'c', 'u')
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

local changes = cmsgpack.unpack(ARGV[at])
for i = 4, #KEYS do
  local key = KEYS[i]
  local token, base, list, emojis = unpack(changes[i - 3])
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
  for _, change in ipairs(emojis) do
    local emoji, added, dropped = unpack(change)
    local name = list .. emoji
    if redis.call('HSETNX', key, 'z:' .. emoji, '0') == 1 then
      redis.call('DEL', name)
    end
    for first = 1, #added, MOST do
      redis.call('ZADD', name, unpack(added, first, math.min(first + MOST - 1, #added)))
    end
    for first = 1, #dropped, MOST do
      redis.call('ZREM', name, unpack(dropped, first, math.min(first + MOST - 1, #dropped)))
    end
    local length = redis.call('ZCARD', name)
    if length > LIST then
      redis.call('HSET', key, 'z:' .. emoji, redis.call('ZREVRANGE', name, LIST, LIST, 'WITHSCORES')[2])
      redis.call('ZREMRANGEBYRANK', name, 0, length - LIST - 1)
    end
    if #added > 0 then
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
