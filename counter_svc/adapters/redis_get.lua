-- The hashes of targets, in order; an empty one where there is none.
local found = {}
for i = 1, #KEYS do
  found[i] = redis.call('HGETALL', KEYS[i])
end
return found
