-- The routes in one hash whose node is there, in the attachment they came with.
--
-- KEYS: the nodes, the routes of a user. Returns field and value of each.
local found = {}
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  local node_epoch, node_id = string.match(all[i + 1], '^%d+|(%d+)|([^|]*)|')
  local node = redis.call('HGET', KEYS[1], node_id)
  if node and string.match(node, '^%[(%d+),') == node_epoch then
    found[#found + 1] = all[i]
    found[#found + 1] = all[i + 1]
  end
end
return found
