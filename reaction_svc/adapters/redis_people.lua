-- Keeps, for each person and conversation, the targets they hold a reaction on.
-- ARGV: retention ms, and in MessagePack: {key, target, whether they hold any, …}.
local rows = cmsgpack.unpack(ARGV[2])
for i = 1, #rows, 3 do
  if rows[i + 2] then
    if redis.call('SADD', rows[i], rows[i + 1]) == 1 then
      redis.call('PEXPIRE', rows[i], ARGV[1])
    end
  else
    redis.call('SREM', rows[i], rows[i + 1])
  end
end
return 'ok'
