"""The changes of a tenant's token budgets, as Redis scripts: all keys of one call share the tenant's slot.

A subject (`tenant`, `user:<id>`, `key:<id>`) has two numbers: all that counts against its budget, and what of that is
reserved and not settled yet (`…:held`).
"""

from typing import Final

# KEYS numbers, ends, reservations;  ARGV now_ms, ends_at_ms, run_id, amount, kept_seconds, then subject and limit (''
#      is none) of each
# Reserves, unless a budget bears it no more. Answers which that is, and whether it would without what is only reserved;
# then what counts against each subject.
# What outlived its end is of a process that died: it is given back first, but for what that has noted as used.
RESERVE: Final = """#!lua
local function add(subjects, amount, held)
  for _, subject in ipairs(subjects) do
    redis.call('HINCRBY', KEYS[1], subject, amount)
    redis.call('HINCRBY', KEYS[1], subject .. ':held', held)
  end
end
for _, run in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, 100)) do
  local kept = cjson.decode(redis.call('HGET', KEYS[3], run))
  add(kept[2], (kept[3] or 0) - kept[1], -kept[1])
  redis.call('ZREM', KEYS[2], run)
  redis.call('HDEL', KEYS[3], run)
  if kept[3] then redis.call('HSET', KEYS[3], run, cjson.encode({0, kept[2], 0, kept[3]})) end
end
local amount, subjects, answer = tonumber(ARGV[4]), {}, {'', 0}
for i = 6, #ARGV, 2 do
  local subject, limit = ARGV[i], tonumber(ARGV[i + 1])
  local numbers = redis.call('HMGET', KEYS[1], subject, subject .. ':held')
  local all, held = tonumber(numbers[1]) or 0, tonumber(numbers[2]) or 0
  if limit and all + amount > limit and answer[1] == '' then
    answer[1], answer[2] = subject, all - held + amount <= limit and 1 or 0
  end
  subjects[#subjects + 1] = subject
  answer[#answer + 1] = all
end
if answer[1] ~= '' then return answer end
add(subjects, amount, amount)
for i = 3, #answer do answer[i] = answer[i] + amount end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
redis.call('HSET', KEYS[3], ARGV[3], cjson.encode({amount, subjects}))
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], ARGV[5]) end
return answer
"""

# KEYS numbers, ends, reservations, settled;  ARGV run_id, amount, kept_seconds, seconds that `settled` is kept, then
#      the subjects
# Puts what was used in the place of what was reserved, once. A reservation that was given back meanwhile was none but
# for what counted as used then.
SETTLE: Final = """#!lua
if not redis.call('SET', KEYS[4], '1', 'NX', 'EX', ARGV[4]) then return 0 end
local kept = redis.call('HGET', KEYS[3], ARGV[1])
local numbers = kept and cjson.decode(kept) or {0}
local reserved, counted = numbers[1], numbers[4] or numbers[1]
for i = 5, #ARGV do
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[2] - counted)
  redis.call('HINCRBY', KEYS[1], ARGV[i] .. ':held', -reserved)
end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""

# KEYS reservations;  ARGV run_id, amount
# Notes what a run has used so far, in case nobody settles it.
NOTE: Final = """#!lua
local kept = redis.call('HGET', KEYS[1], ARGV[1])
if not kept then return end
local reserved = cjson.decode(kept)
reserved[3] = tonumber(ARGV[2])
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(reserved))
"""
