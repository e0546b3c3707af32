-- The hash of one target; empty where there is none.
return redis.call('HGETALL', KEYS[1])
