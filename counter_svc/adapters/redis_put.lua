-- Puts the counts of targets where they are newer than what is there.
-- KEYS[1]: the text that tells whether everything was lost. KEYS[2…]: a hash of emoji and people for each target.
-- ARGV[1]: a new such text. ARGV[2]: milliseconds to keep a hash. ARGV[3]: the field of the version.
-- Then for each target: its version, 1 where it replaces whatever is there, the number of emoji, and these with people.
-- Versions have more digits than a Lua number: of two, the longer text is the higher, else the one that sorts later.
local field, at = ARGV[3], 4
for i = 2, #KEYS do
  local version, always, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local there = redis.call('HGET', KEYS[i], field)
  if always == '1' or not there or #version > #there or (#version == #there and version > there) then
    redis.call('DEL', KEYS[i])
    redis.call('HSET', KEYS[i], field, version, unpack(ARGV, at + 3, at + 2 + 2 * count))
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
  end
  at = at + 3 + 2 * count
end
if ARGV[1] == '' then
  return ''
end
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
