"""What becomes of messages that wait for their turn in a conversation, as Redis scripts.

The queue of a conversation is a list of runs, the next one first. A run that waits is in no conversation yet: its
message lies in its own hash, and stands in the conversation from its turn on.
"""

from typing import Final

from services.chat.keeping import KEEPING
from services.chat.runs.log_scripts import LOG
from services.chat.runs.script_parts import END_RUN, IS_MISSED, TURN_FIRST

# KEYS conversation, messages, runs, queue, run, events, hold, once, conversations, the count of what is kept
# ARGV run_id, conversation_id, agent_id, now_ms, message, model, inbox, data of run.queued without its place, hold_ms,
#      kept_seconds while it waits, kept_seconds of `once` and `runs`, max_messages, max_queued, what `once` is to hold
#      now, what it shall hold (or '' without a key), retention_ms, user_id, bytes at most of a user and of a tenant,
#      key_id, bytes at most of the logs of a run, a user and a tenant
# Puts a run at the end of the queue, whether or not the conversation is busy: whoever holds the run takes its turn.
# What waits before it is counted with it, as it will be kept before.
# Answers a word, and with `ok` its place, 1 for the next.
ENQUEUE: Final = (
    "#!lua"
    + KEEPING
    + LOG
    + """
if ARGV[15] ~= '' and (redis.call('GET', KEYS[8]) or '') ~= ARGV[14] then return {'taken', 0} end
local agent_id = redis.call('HGET', KEYS[1], 'agent_id')
if not agent_id or is_old(KEYS[9], ARGV[2], ARGV[4] - ARGV[16]) then return {'missing', 0} end
if agent_id ~= '' and agent_id ~= ARGV[3] then return {'other_agent', 0} end
local waiting = redis.call('LLEN', KEYS[4])
if waiting >= tonumber(ARGV[13]) then return {'queue_full', 0} end
if redis.call('XLEN', KEYS[2]) + 1 + 2 * (waiting + 1) > tonumber(ARGV[12]) then return {'full', 0} end
local count, bytes = {KEYS[10], KEYS[11], KEYS[12], ARGV[17]}, #ARGV[5]
for _, run in ipairs(redis.call('LRANGE', KEYS[4], 0, -1)) do
  bytes = bytes + redis.call('HSTRLEN', string.sub(KEYS[5], 1, -1 - #ARGV[1]) .. run, 'question')
end
local refused = refusal(count, bytes, ARGV[18], ARGV[19], KEYS[9], ARGV[4] - ARGV[16], ARGV[4])
if refused then return {refused, 0} end
local log, told = log_of(KEYS[5]), log_size({'run.queued', ARGV[8]}) + #ARGV[5]
refused = log_begin_refusal(log, told, ARGV[21], ARGV[22], ARGV[23])
if refused then return {refused, 0} end
if agent_id == '' then redis.call('HSET', KEYS[1], 'agent_id', ARGV[3]) end
local place = redis.call('RPUSH', KEYS[4], ARGV[1])
redis.call('EXPIRE', KEYS[4], ARGV[10])
redis.call('SADD', KEYS[3], ARGV[1])
if redis.call('TTL', KEYS[3]) < tonumber(ARGV[10]) then redis.call('EXPIRE', KEYS[3], ARGV[10]) end
redis.call('HSET', KEYS[5], 'status', 'queued', 'conversation_id', ARGV[2], 'agent_id', ARGV[3],
  'created_at', ARGV[4], 'question', ARGV[5], 'model', ARGV[6], 'inbox', ARGV[7], 'key_id', ARGV[20])
redis.call('EXPIRE', KEYS[5], ARGV[10])
log_begin(log, ARGV[10], told)
redis.call('XADD', KEYS[6], '1-0', 'e', 'run.queued', 'd', string.sub(ARGV[8], 1, -2) .. ',"position":' .. place .. '}')
redis.call('EXPIRE', KEYS[6], ARGV[10])
redis.call('SET', KEYS[7], ARGV[7], 'PX', ARGV[9])
if ARGV[15] ~= '' then redis.call('SET', KEYS[8], ARGV[15], 'EX', ARGV[11]) end
return {'ok', place}
"""
)

# KEYS conversation, messages, lease, runs, conversations, run, events, queue, words, hold, the count of what is kept
# ARGV run_id, conversation_id, now_ms, retention_ms, lease_ms, kept_seconds, data of run.started, inbox, message_id,
#      words of the message, user_id, agent_id, title, words of the title
# Begins the run if it is the next and nothing is answered: as START does for one that need not wait. What was begun
# last has to have ended, for its lease may have run out only because nobody could renew it. Answers `ok`, also to one
# who has not heard so before, and whose lease then begins anew; `wait`; or what became of the run.
TAKE: Final = (
    "#!lua"
    + KEEPING
    + LOG
    + TURN_FIRST
    + """
local status = redis.call('HGET', KEYS[6], 'status')
if not status or redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
if status == 'running' and redis.call('HGET', KEYS[6], 'inbox') == ARGV[8] then
  if (redis.call('GET', KEYS[3]) or ARGV[1]) == ARGV[1] then redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[5]) end
  return 'ok'
end
if status ~= 'queued' then return status end
if redis.call('LINDEX', KEYS[8], 0) ~= ARGV[1] or redis.call('EXISTS', KEYS[3]) == 1 then return 'wait' end
local last = redis.call('HGET', KEYS[1], 'run')
local before = last and redis.call('HGET', string.sub(KEYS[6], 1, -1 - #ARGV[1]) .. last, 'status')
if before == 'running' or before == 'requires_action' then return 'wait' end
redis.call('LPOP', KEYS[8])
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[5])
turn_first(KEYS[1], KEYS[9], ARGV[12], ARGV[13], ARGV[14])
local question = redis.call('HGET', KEYS[6], 'question')
redis.call('XADD', KEYS[2], '*', 'm', question)
redis.call('HSET', KEYS[9], ARGV[9], ARGV[10])
keep({KEYS[11], KEYS[12], KEYS[13], ARGV[11]}, ARGV[2], #question + #ARGV[10], ARGV[3] + ARGV[4])
redis.call('HINCRBY', KEYS[1], 'message_count', 1)
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HSET', KEYS[1], 'last_activity_at', ARGV[3], 'run', ARGV[1])
redis.call('ZADD', KEYS[5], ARGV[3], ARGV[2])
for _, key in ipairs({KEYS[1], KEYS[2], KEYS[5], KEYS[9]}) do redis.call('PEXPIRE', key, ARGV[4]) end
log_count(log_of(KEYS[6]), log_size({'run.started', ARGV[7]}) - #question)
log_keep(log_of(KEYS[6]), ARGV[6])
redis.call('HSET', KEYS[6], 'status', 'running')
redis.call('HDEL', KEYS[6], 'question', 'missed', 'missed_at')
redis.call('XADD', KEYS[7], '2-0', 'e', 'run.started', 'd', ARGV[7])
for _, key in ipairs({KEYS[6], KEYS[7]}) do redis.call('EXPIRE', key, ARGV[6]) end
if redis.call('TTL', KEYS[4]) < tonumber(ARGV[6]) then redis.call('EXPIRE', KEYS[4], ARGV[6]) end
redis.call('DEL', KEYS[10])
return 'ok'
"""
)

# KEYS queue, run, events, hold, then those of the outbox
# ARGV run_id, now_ms, status, type and data of its last event, and how often, how many ms apart, its hold is to be
#      missed; 0 for one that is ended by who may, held or not
# Ends a run that waits, in a Redis that is full too, as CANCEL does. One that is given up is held by nobody any more.
# Answers the run's status, and where this has ended it the inbox of the process that is to hear of it.
LEAVE: Final = (
    "#!lua flags=allow-oom"
    + END_RUN
    + IS_MISSED
    + """
local status = redis.call('HGET', KEYS[2], 'status')
if not status then
  redis.call('LREM', KEYS[1], 1, ARGV[1])
  return {'gone', ''}
end
if status ~= 'queued' then return {status, ''} end
if ARGV[6] ~= '0' and (redis.call('EXISTS', KEYS[4]) == 1 or not is_missed(KEYS[2], ARGV[6], ARGV[7])) then
  return {status, ''}
end
redis.call('LREM', KEYS[1], 1, ARGV[1])
redis.call('DEL', KEYS[4])
end_run(KEYS[2], KEYS[3], ARGV[3], ARGV[2], {ARGV[4], ARGV[5]}, 5)
return {ARGV[3], redis.call('HGET', KEYS[2], 'inbox') or ''}
"""
)
