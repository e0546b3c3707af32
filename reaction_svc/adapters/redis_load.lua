-- Where targets stand. KEYS: generation, targets…. ARGV: generation, beginning of the keys of pending batches.
-- Returns ok, for each target its token, the writer and number of its last batch (or nothing where it is not known),
-- and for each of these writers the numbers of its batches that are not confirmed.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local found = redis.call('HMGET', KEYS[1], 'id', 'run')
if found[1] ~= ARGV[1] or found[2] ~= run then
  return {'lost'}
end
local targets, writers, seen = {}, {}, {}
for i = 2, #KEYS do
  local hot = redis.call('HMGET', KEYS[i], 'g', 't', 'n', 's')
  if hot[1] == ARGV[1] then
    targets[i - 1] = {hot[2], hot[3], hot[4]}
    if not seen[hot[3]] then
      seen[hot[3]] = true
      writers[#writers + 1] = hot[3]
      writers[#writers + 1] = redis.call('HKEYS', ARGV[2] .. hot[3])
    end
  else
    targets[i - 1] = {}
  end
end
return {'ok', targets, writers}
