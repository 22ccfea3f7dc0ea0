"""How a run begins whose caller gives all that it is told, as Redis scripts: of no conversation, or in one."""

from typing import Final

from services.chat.keeping import KEEPING
from services.chat.runs.log_scripts import LOG
from services.chat.runs.script_parts import IS_BUSY

# KEYS lease, run, events, once
# ARGV run_id, conversation_id, now_ms, agent_id, model, inbox of the process, key_id, door, event, lease_ms,
#      kept_seconds, what `once` is to hold now, what it shall hold (or '' without a key), bytes at most of the logs of
#      a run, a user and a tenant, what is kept of the request (or '')
_BEGIN: Final = """
if ARGV[13] ~= '' and (redis.call('GET', KEYS[4]) or '') ~= ARGV[12] then return 'taken' end
local log, told = log_of(KEYS[2]), log_size({'run.started', ARGV[9]}) + #ARGV[17]
local function log_too_much() return log_begin_refusal(log, told, ARGV[14], ARGV[15], ARGV[16]) end
local function begin()
  if ARGV[13] ~= '' then redis.call('SET', KEYS[4], ARGV[13], 'EX', ARGV[11]) end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[10])
  redis.call('HSET', KEYS[2], 'status', 'running', 'conversation_id', ARGV[2], 'created_at', ARGV[3],
    'agent_id', ARGV[4], 'model', ARGV[5], 'inbox', ARGV[6], 'key_id', ARGV[7], 'door', ARGV[8])
  if ARGV[17] ~= '' then redis.call('HSET', KEYS[2], 'kept', ARGV[17]) end
  redis.call('EXPIRE', KEYS[2], ARGV[11])
  log_begin(log, ARGV[11], told)
  redis.call('XADD', KEYS[3], '1-0', 'e', 'run.started', 'd', ARGV[9])
  redis.call('EXPIRE', KEYS[3], ARGV[11])
  return 'ok'
end
"""

# Begins a run as START does, but of its conversation there is the id and the lease, and nothing that could be listed,
# found or gone on with: what is said stands in the events, and goes with them.
START_ALONE: Final = "#!lua" + LOG + _BEGIN + "return log_too_much() or begin()\n"

# KEYS beside: conversation, messages, conversations, runs, queue, the count of what is kept
# ARGV beside: the version of the conversation that was read, retention_ms, max_messages, how many messages it will get
#      at least, how many bytes, user_id, bytes at most of a user and of a tenant
# The same in a conversation, which is claimed, and kept for as long as after a message; it gets its messages with the
# answer, all or none, and with them a title where it has none. `changed` where it is no more as it was read: the run
# would answer what is not said there, or not all that is.
START_JOINED: Final = (
    "#!lua"
    + KEEPING
    + LOG
    + IS_BUSY
    + _BEGIN
    + """
local count, before_ms = {KEYS[10], KEYS[11], KEYS[12], ARGV[23]}, ARGV[3] - ARGV[19]
local version = redis.call('HGET', KEYS[5], 'version')
if not version or is_old(KEYS[7], ARGV[2], before_ms) then return 'missing' end
if redis.call('XLEN', KEYS[6]) + ARGV[21] > tonumber(ARGV[20]) then return 'full' end
local refused = refusal(count, ARGV[22], ARGV[24], ARGV[25], KEYS[7], before_ms, ARGV[3]) or log_too_much()
if refused then return refused end
if is_busy(KEYS[5], KEYS[1], KEYS[9], string.sub(KEYS[2], 1, -1 - #ARGV[1])) then return 'active' end
if version ~= ARGV[18] then return 'changed' end
redis.call('HSET', KEYS[5], 'run', ARGV[1], 'last_activity_at', ARGV[3])
redis.call('HINCRBY', KEYS[5], 'version', 1)
redis.call('ZADD', KEYS[7], ARGV[3], ARGV[2])
keep(count, ARGV[2], 0, ARGV[3] + ARGV[19])
for _, part in ipairs(parts) do redis.call('PEXPIRE', KEYS[5] .. part, ARGV[19]) end
redis.call('PEXPIRE', KEYS[7], ARGV[19])
redis.call('SADD', KEYS[8], ARGV[1])
if redis.call('TTL', KEYS[8]) < tonumber(ARGV[11]) then redis.call('EXPIRE', KEYS[8], ARGV[11]) end
return begin()
"""
)
