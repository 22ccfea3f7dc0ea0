"""How a run of no conversation begins, as a Redis script: whoever asks has given all of the history with it."""

from typing import Final

from services.chat.runs.log_scripts import LOG

# KEYS lease, run, events, once
# ARGV run_id, conversation_id, now_ms, agent_id, model, inbox of the process, key_id, door, event, lease_ms,
#      kept_seconds, what `once` is to hold now, what it shall hold (or '' without a key), bytes at most of the logs of
#      a run, a user and a tenant, what is kept of the request (or '')
# Begins a run as START does, but of its conversation there is the id and the lease, and nothing that could be listed,
# found or gone on with: what is said stands in the events, and goes with them.
START_ALONE: Final = (
    "#!lua"
    + LOG
    + """
if ARGV[13] ~= '' and (redis.call('GET', KEYS[4]) or '') ~= ARGV[12] then return 'taken' end
local log, told = log_of(KEYS[2]), log_size({'run.started', ARGV[9]}) + #ARGV[17]
local refused = log_begin_refusal(log, told, ARGV[14], ARGV[15], ARGV[16])
if refused then return refused end
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
"""
)
