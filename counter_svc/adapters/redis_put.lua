-- Puts the counts of a target where they are newer than what is there.
-- KEYS[1]: its hash of emoji and people. ARGV: milliseconds to keep it, the field of the version, the version, 1 where
-- it replaces whatever is there, then emoji and people.
-- Versions have more digits than a Lua number: of two, the longer text is the higher, else the one that sorts later.
local field, version = ARGV[2], ARGV[3]
local there = redis.call('HGET', KEYS[1], field)
if ARGV[4] == '1' or not there or #version > #there or (#version == #there and version > there) then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], field, version, unpack(ARGV, 5))
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 0
