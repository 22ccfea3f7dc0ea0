"""The changes of several keys that must happen together, as Redis scripts.

All keys of one call share a hash tag, but for those of the outbox, of which there is one (`outbox.py`), and of what is
kept in a tenant (`keeping.py`). `#!lua` has the server refuse a script before its first line when memory is used up.
"""

from typing import Final

from services.chat.keeping import KEEPING
from services.chat.runs.log_scripts import LOG
from services.chat.runs.outbox_scripts import TELL
from services.chat.runs.script_parts import ADD, COUNT_LEFT, END_RUN, IS_BUSY, IS_MISSED, LIE_AGAIN, TURN_FIRST

# KEYS conversation, messages, lease, runs, conversations, run, events, once, words, queue, the count of what is kept
# ARGV new?, now_ms, retention_ms, agent_id, title, message, run_id, lease_ms, kept_seconds, max_messages,
#      max_conversations, conversation_id, event, what `once` is to hold now, what it shall hold (or '' without a key),
#      model, inbox of the process, metadata, tags, words of the title, message_id, words of the message, user_id, bytes
#      at most of a user and of a tenant, key_id, bytes at most of the logs of a run, a user and a tenant, then of each
#      message at the end that gives way, newest first, its place and id
# Checks the conversation, claims it for the run, and stores the user's message with the run's first event, and with the
# key that the request came with. Full comes before active: nothing is interrupted for a message that has no place.
START: Final = (
    "#!lua"
    + KEEPING
    + LOG
    + IS_BUSY
    + TURN_FIRST
    + """
local count = {KEYS[11], KEYS[12], KEYS[13], ARGV[23]}
local bytes, until_ms = #ARGV[6] + #ARGV[22], ARGV[2] + ARGV[3]
local log, told = log_of(KEYS[6]), log_size({'run.started', ARGV[13]})
local function too_much()
  return refusal(count, bytes, ARGV[24], ARGV[25], KEYS[5], ARGV[2] - ARGV[3], ARGV[2])
end
local function log_too_much() return log_begin_refusal(log, told, ARGV[27], ARGV[28], ARGV[29]) end
if ARGV[15] ~= '' and (redis.call('GET', KEYS[8]) or '') ~= ARGV[14] then return 'taken' end
if ARGV[1] == '1' then
  bytes = bytes + told_beside(ARGV[18], ARGV[19])
  forget_old(count, KEYS[5], ARGV[2] - ARGV[3])
  if redis.call('ZCARD', KEYS[5]) >= tonumber(ARGV[11]) then return 'too_many' end
  local refused = too_much() or log_too_much()
  if refused then return refused end
  redis.call('HSET', KEYS[1], 'agent_id', ARGV[4], 'title', ARGV[5], 'created_at', ARGV[2],
    'metadata', ARGV[18], 'tags', ARGV[19])
  redis.call('HSET', KEYS[9], 'title', ARGV[20])
else
  local agent_id = redis.call('HGET', KEYS[1], 'agent_id')
  if not agent_id or is_old(KEYS[5], ARGV[12], ARGV[2] - ARGV[3]) then return 'missing' end
  if agent_id ~= '' and agent_id ~= ARGV[4] then return 'other_agent' end
  local replaced = (#ARGV - 29) / 2
  if redis.call('XLEN', KEYS[2]) - replaced + 2 > tonumber(ARGV[10]) then return 'full' end
  local refused = replaced == 0 and too_much() or log_too_much()
  if refused then return refused end
  if is_busy(KEYS[1], KEYS[3], KEYS[10], string.sub(KEYS[6], 1, -1 - #ARGV[7])) then return 'active' end
  if replaced > 0 then
    local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', replaced)
    for i = 1, replaced do
      if not last[i] or last[i][1] ~= ARGV[28 + 2 * i] then return 'changed' end
    end
    for i = 1, replaced do
      forget(count, ARGV[12], #last[i][2][2] + redis.call('HSTRLEN', KEYS[9], ARGV[29 + 2 * i]))
      redis.call('XDEL', KEYS[2], ARGV[28 + 2 * i])
      redis.call('HDEL', KEYS[9], ARGV[29 + 2 * i])
    end
    redis.call('HINCRBY', KEYS[1], 'message_count', -replaced)
  end
  turn_first(KEYS[1], KEYS[9], ARGV[4], ARGV[5], ARGV[20])
end
if ARGV[15] ~= '' then redis.call('SET', KEYS[8], ARGV[15], 'EX', ARGV[9]) end
redis.call('SET', KEYS[3], ARGV[7], 'PX', ARGV[8])
redis.call('XADD', KEYS[2], '*', 'm', ARGV[6])
redis.call('HSET', KEYS[9], ARGV[21], ARGV[22])
keep(count, ARGV[12], bytes, until_ms)
redis.call('HINCRBY', KEYS[1], 'message_count', 1)
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HSET', KEYS[1], 'last_activity_at', ARGV[2], 'run', ARGV[7])
redis.call('ZADD', KEYS[5], ARGV[2], ARGV[12])
redis.call('SADD', KEYS[4], ARGV[7])
if redis.call('TTL', KEYS[4]) < tonumber(ARGV[9]) then redis.call('EXPIRE', KEYS[4], ARGV[9]) end
for _, key in ipairs({KEYS[1], KEYS[2], KEYS[5], KEYS[9]}) do redis.call('PEXPIRE', key, ARGV[3]) end
redis.call('HSET', KEYS[6], 'status', 'running', 'conversation_id', ARGV[12], 'created_at', ARGV[2],
  'agent_id', ARGV[4], 'model', ARGV[16], 'inbox', ARGV[17], 'key_id', ARGV[26])
redis.call('EXPIRE', KEYS[6], ARGV[9])
log_begin(log, ARGV[9], told)
redis.call('XADD', KEYS[7], '1-0', 'e', 'run.started', 'd', ARGV[13])
redis.call('EXPIRE', KEYS[7], ARGV[9])
return 'ok'
"""
)

# KEYS lease, run;  ARGV run_id, lease_ms, since
# Keeps a conversation claimed, in a Redis that is full too: else others would give up a run that goes on. A lease that
# ran out while Redis was away is taken again if nobody else has it, and whoever missed it until now begins to count
# anew.
RENEW: Final = """#!lua flags=allow-oom
local status = redis.call('HGET', KEYS[2], 'status')
if not status then return 'gone' end
if status ~= 'running' or (redis.call('HGET', KEYS[2], 'since') or '0') ~= ARGV[3] then return 'lost' end
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 'lost' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('HDEL', KEYS[2], 'missed', 'missed_at')
return 'ok'
"""

# KEYS lease, run, events, usage, counted, then those of the outbox, then conversation
# ARGV run_id, now_ms, kept_seconds of `counted`, kept_seconds of `usage`, data of run.failed, and of that of a run that
#      waited in vain, and how often, how many ms apart, a lease is to be missed
# Ends a run that nobody holds any more, its process gone or its calls undecided: whoever follows it hears the end. One
# that had only just gone on waits again. In a Redis that is full too, as CANCEL.
# Answers the run's status.
ABANDON: Final = (
    "#!lua flags=allow-oom"
    + COUNT_LEFT
    + END_RUN
    + IS_MISSED
    + LIE_AGAIN
    + """
local status = redis.call('HGET', KEYS[2], 'status')
if not status then return 'gone' end
if status ~= 'running' and status ~= 'requires_action' or redis.call('GET', KEYS[1]) == ARGV[1] then return status end
if status == 'running' then
  local missed_at = is_missed(KEYS[2], ARGV[7], ARGV[8])
  if not missed_at then return status end
  local lies_since = lies_again(KEYS[1], KEYS[2], KEYS[3], KEYS[#KEYS], ARGV[1], missed_at)
  if lies_since then
    tell(6, KEYS[2], 'run.waiting', lies_since, '')
    return 'requires_action'
  end
end
local outcome = status == 'running' and ARGV[5] or ARGV[6]
count_left('failed', KEYS[2], KEYS[4], KEYS[5], ARGV[3], ARGV[4])
end_run(KEYS[2], KEYS[3], 'failed', ARGV[2], {'run.failed', outcome}, 6)
return 'failed'
"""
)

# KEYS lease, run, events, usage, counted, then those of the outbox
# ARGV run_id, now_ms, kept_seconds of `counted`, kept_seconds of `usage`, data of run.cancelled
# Ends a run that goes on, wherever it does, and frees its conversation, in a Redis that is full too: so much takes no
# run that has found room to begin. Answers the run's status, and where this has ended it the inbox of the process that
# is to hear of it.
CANCEL: Final = (
    "#!lua flags=allow-oom"
    + COUNT_LEFT
    + END_RUN
    + """
local status = redis.call('HGET', KEYS[2], 'status')
if not status then return {'gone', ''} end
if status ~= 'running' and status ~= 'requires_action' then return {status, ''} end
if status == 'requires_action' then count_left('cancelled', KEYS[2], KEYS[4], KEYS[5], ARGV[3], ARGV[4]) end
end_run(KEYS[2], KEYS[3], 'cancelled', ARGV[2], {'run.cancelled', ARGV[5]}, 6)
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return {'cancelled', redis.call('HGET', KEYS[2], 'inbox') or ''}
"""
)

# KEYS lease, run, events, runs, usage, then those of the outbox
# ARGV run_id, number of the event, data of run.waiting, the loop, approval_ms, kept_seconds, what it used up since it
#      went on last, kept_seconds of `usage`, since, bytes at most of the logs of a run, a user and a tenant, then the
#      ids of the calls
# Lays a run down until its calls are decided: no process has it, and its lease, which nobody renews, claims the
# conversation for as long as it may wait. Answers the run's status; laying down what lies, or what others
# have gone on with, changes nothing. Or for what reason its log has no room, and then it goes on.
# What it used up is added now: whoever ends a run that lies does not know it.
PAUSE: Final = (
    "#!lua"
    + ADD
    + TELL
    + LOG
    + """
local status = redis.call('HGET', KEYS[2], 'status')
if not status then return 'gone' end
if (redis.call('HGET', KEYS[2], 'since') or '0') ~= ARGV[9] then return 'requires_action' end
if status ~= 'running' then return status end
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 'lost' end
local log = log_of(KEYS[2])
local more = log_size({'run.waiting', ARGV[3]}) + #ARGV[3] + #ARGV[4] - log_held(log)
local refused = log_refusal(log, more, ARGV[10], ARGV[11], ARGV[12])
if refused then return refused end
log_count(log, more)
log_keep(log, ARGV[6])
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1][1]
local number = math.max(tonumber(ARGV[2]), tonumber(string.match(last, '^%d+')) + 1)
redis.call('XADD', KEYS[3], number .. '-0', 'e', 'run.waiting', 'd', ARGV[3])
local used = cjson.decode(ARGV[7])
redis.call('HSET', KEYS[2], 'status', 'requires_action', 'waiting', ARGV[3], 'loop', ARGV[4], 'inbox', '',
  'undecided', #ARGV - 12, 'source', used[1])
redis.call('HDEL', KEYS[2], 'used')
add(KEYS[5], used[2], ARGV[8])
for i = 13, #ARGV do redis.call('HSET', KEYS[2], 'call:' .. ARGV[i], '') end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[5])
for i = 2, 3 do redis.call('EXPIRE', KEYS[i], ARGV[6]) end
if redis.call('TTL', KEYS[4]) < tonumber(ARGV[6]) then redis.call('EXPIRE', KEYS[4], ARGV[6]) end
tell(6, KEYS[2], 'run.waiting', number, '')
return 'requires_action'
"""
)

# KEYS lease, run, events
# ARGV run_id, call_id, decision, lease_ms, inbox of the process, whether it may go on, whose request this is
# Keeps the decision on one call. With the last of them the run goes on, if it may: a process claims it again. If it may
# not, the last one is not kept. The request that it went on with is given the same again, if it never heard so. What it
# waited for stays with it, in case its process dies at once.
# Answers {what became of it, the loop, its last event, then call ids and decisions}.
DECIDE: Final = (
    "#!lua"
    + LOG
    + """
local function go()
  local answer = {'go', redis.call('HGET', KEYS[2], 'loop'), redis.call('HGET', KEYS[2], 'since')}
  local fields = redis.call('HGETALL', KEYS[2])
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 5) == 'call:' then
      table.insert(answer, fields[i])
      table.insert(answer, fields[i + 1])
    end
  end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
  return answer
end
local status = redis.call('HGET', KEYS[2], 'status')
if not status then return {'gone'} end
local before = redis.call('HGET', KEYS[2], 'call:' .. ARGV[2])
if not before then return {'unknown'} end
if before ~= '' then
  local is_own = (redis.call('GET', KEYS[1]) or ARGV[1]) == ARGV[1] and redis.call('HGET', KEYS[2], 'claim') == ARGV[7]
  if status == 'running' and is_own then return go() end
  return {before == ARGV[3] and 'kept' or 'decided'}
end
if status ~= 'requires_action' then return {status} end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'expired'} end
local is_last = tonumber(redis.call('HGET', KEYS[2], 'undecided')) == 1
if is_last and ARGV[6] ~= '1' then return {'last'} end
redis.call('HSET', KEYS[2], 'call:' .. ARGV[2], ARGV[3])
log_count(log_of(KEYS[2]), #ARGV[3])
redis.call('HINCRBY', KEYS[2], 'undecided', -1)
if not is_last then return {'kept'} end
local last, time = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1][1], redis.call('TIME')
redis.call('HSET', KEYS[2], 'status', 'running', 'inbox', ARGV[5], 'claim', ARGV[7],
  'since', string.match(last, '^%d+'), 'last_call', ARGV[2],
  'waits_until', time[1] * 1000 + math.floor(time[2] / 1000) + redis.call('PTTL', KEYS[1]))
return go()
"""
)
