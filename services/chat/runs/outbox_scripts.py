"""The changes of the outbox, as Redis scripts; how what is in it lies, and under which keys, is told in `outbox.py`."""

from typing import Final

MOST_OF_A_TENANT: Final = 10_000
MOST_IN_ALL: Final = 100_000
"""Events that may wait to be published, each about 400 bytes."""

# Puts what became of a run into the outbox, in the script that has it so: `first` is the first of its three KEYS.
# What finds no place there is only counted: a broker that stays away costs nobody what is kept, nor one tenant another.
TELL: Final = f"""
local function tell(first, run, event, number, outcome)
  local tenant = string.match(run, '^chat:{{(.-):')
  local waiting = tonumber(redis.call('HGET', KEYS[first + 1], tenant) or '0')
  if waiting >= {MOST_OF_A_TENANT} or redis.call('XLEN', KEYS[first]) >= {MOST_IN_ALL} then
    redis.call('INCR', KEYS[first + 2])
    return
  end
  local is_read, said = pcall(cjson.decode, outcome)
  local function of(member) return is_read and type(said[member]) == 'string' and said[member] end
  local kept = redis.call('HMGET', run, 'conversation_id', 'agent_id', 'key_id', 'model', 'finished_at', 'door')
  redis.call('XADD', KEYS[first], '*', 'run', run, 'event', event, 'number', number, 'conversation_id', kept[1] or '',
    'agent_id', kept[2] or '', 'key_id', kept[3] or '', 'model', of('model') or kept[4] or '',
    'finished_at', kept[5] or '', 'code', of('code') or '', 'door', kept[6] or '')
  redis.call('HINCRBY', KEYS[first + 1], tenant, 1)
end
"""

# Both run in a Redis that is full, too: there the outbox is among what is to be got rid of.
# KEYS relay, stream;  ARGV holder, lease_ms, limit
CLAIM: Final = """#!lua flags=allow-oom
if redis.call('XLEN', KEYS[2]) == 0 then return {} end
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ARGV[3])
"""
# KEYS relay, stream, waiting;  ARGV holder, then place and tenant of each
SETTLE: Final = """#!lua flags=allow-oom
for i = 2, #ARGV, 2 do
  if redis.call('XDEL', KEYS[2], ARGV[i]) == 1 and redis.call('HINCRBY', KEYS[3], ARGV[i + 1], -1) <= 0 then
    redis.call('HDEL', KEYS[3], ARGV[i + 1])
  end
end
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""
