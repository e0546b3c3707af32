-- Which memory of this server this is. A server that has lost its memory, or was restarted with an older one, gets a
-- new generation, which is not ready before what the old one knew has been recovered.
-- KEYS: generation. ARGV: an id, should a new one be needed.
-- Returns its id, whether it is ready, and its age in milliseconds.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('HMGET', KEYS[1], 'id', 'run', 'ready', 'since')
if not found[1] or found[2] ~= run then
  found = {ARGV[1], run, '0', string.format('%.0f', now)}
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'id', found[1], 'run', found[2], 'ready', found[3], 'since', found[4])
end
return {found[1], found[3], string.format('%.0f', now - tonumber(found[4]))}
