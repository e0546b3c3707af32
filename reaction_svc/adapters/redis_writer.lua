-- What a writer does besides changes. KEYS: generation, writer, pending. ARGV: what, generation, who, and by `what`:
--   enter  lease ms              becomes the writer, unless there is one: ok or fenced
--   touch  lease ms, published, confirmed batches…   stays the writer; drops confirmed batches
--   settle attempt               makes every attempt up to this one end now: ok and the last batch that was taken
--   finish                       the writer has nothing left to do, and is forgotten
--   leave                        lets another take over what is left
--   ready                        declares the generation ready
--   confirm confirmed batches…   drops batches that another has completed for the writer
--   pending                      all batches not confirmed: ok, batch number, batch, …
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local found = redis.call('HMGET', KEYS[1], 'id', 'run')
if found[1] ~= ARGV[2] or found[2] ~= run then
  return {'lost'}
end
local what = ARGV[1]
if what == 'ready' then
  redis.call('HSET', KEYS[1], 'ready', '1')
  return {'ok'}
end
if what == 'pending' then
  return {'ok', unpack(redis.call('HGETALL', KEYS[3]))}
end
if what == 'confirm' then
  for i = 4, #ARGV do
    redis.call('HDEL', KEYS[3], ARGV[i])
  end
  return {'ok'}
end
local by = redis.call('HGET', KEYS[2], 'by')
if what == 'enter' then
  if by then
    return {'fenced'}
  end
  redis.call('HSET', KEYS[2], 'by', ARGV[3], 'attempt', '0', 'seq', '0', 'published', '0')
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  return {'ok'}
end
if by ~= ARGV[3] then
  return {'fenced'}
end
if what == 'touch' then
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  redis.call('HSET', KEYS[2], 'published', ARGV[5])
  for i = 6, #ARGV do
    redis.call('HDEL', KEYS[3], ARGV[i])
  end
elseif what == 'settle' then
  local known = redis.call('HMGET', KEYS[2], 'attempt', 'seq')
  if tonumber(known[1]) < tonumber(ARGV[4]) then
    redis.call('HSET', KEYS[2], 'attempt', ARGV[4])
  end
  return {'ok', known[2]}
elseif what == 'finish' then
  redis.call('DEL', KEYS[2], KEYS[3])
elseif what == 'leave' then
  redis.call('DEL', KEYS[2])
end
return {'ok'}
