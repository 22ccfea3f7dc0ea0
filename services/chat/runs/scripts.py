"""The changes of several keys that must happen together, as Redis scripts. All keys of one call share a hash tag.

`#!lua` has the server refuse a script before its first line when memory is used up, and any key of another slot.
"""

from typing import Final

# KEYS conversation, messages, lease, runs, conversations, run, events, once, words
# ARGV new?, now_ms, retention_ms, agent_id, title, message, run_id, lease_ms, kept_seconds, max_messages,
#      max_conversations, conversation_id, event, what `once` is to hold now, what it shall hold (or '' without a key),
#      model, inbox of the process, metadata, tags, words of the title, message_id, words of the message, then of each
#      message at the end that gives way, newest first, its place and its id
# Checks the conversation, claims it for the run, and stores the user's message with the run's first event, and with the
# key that the request came with. Full comes before active: nothing is interrupted for a message that has no place.
START: Final = """#!lua
if ARGV[15] ~= '' and (redis.call('GET', KEYS[8]) or '') ~= ARGV[14] then return 'taken' end
if ARGV[1] == '1' then
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', '(' .. (ARGV[2] - ARGV[3]))
  if redis.call('ZCARD', KEYS[5]) >= tonumber(ARGV[11]) then return 'too_many' end
  redis.call('HSET', KEYS[1], 'agent_id', ARGV[4], 'title', ARGV[5], 'created_at', ARGV[2],
    'metadata', ARGV[18], 'tags', ARGV[19])
  redis.call('HSET', KEYS[9], 'title', ARGV[20])
else
  local agent_id = redis.call('HGET', KEYS[1], 'agent_id')
  if not agent_id then return 'missing' end
  if agent_id ~= ARGV[4] then return 'other_agent' end
  local replaced = (#ARGV - 22) / 2
  if redis.call('XLEN', KEYS[2]) - replaced + 2 > tonumber(ARGV[10]) then return 'full' end
  if redis.call('EXISTS', KEYS[3]) == 1 then return 'active' end
  if replaced > 0 then
    local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', replaced)
    for i = 1, replaced do
      if not last[i] or last[i][1] ~= ARGV[21 + 2 * i] then return 'changed' end
    end
    for i = 1, replaced do
      redis.call('XDEL', KEYS[2], ARGV[21 + 2 * i])
      redis.call('HDEL', KEYS[9], ARGV[22 + 2 * i])
    end
    redis.call('HINCRBY', KEYS[1], 'message_count', -replaced)
  end
end
if ARGV[15] ~= '' then redis.call('SET', KEYS[8], ARGV[15], 'EX', ARGV[9]) end
redis.call('SET', KEYS[3], ARGV[7], 'PX', ARGV[8])
redis.call('XADD', KEYS[2], '*', 'm', ARGV[6])
redis.call('HSET', KEYS[9], ARGV[21], ARGV[22])
redis.call('HINCRBY', KEYS[1], 'message_count', 1)
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HSET', KEYS[1], 'last_activity_at', ARGV[2])
redis.call('ZADD', KEYS[5], ARGV[2], ARGV[12])
redis.call('SADD', KEYS[4], ARGV[7])
redis.call('EXPIRE', KEYS[4], ARGV[9])
for _, key in ipairs({KEYS[1], KEYS[2], KEYS[5], KEYS[9]}) do redis.call('PEXPIRE', key, ARGV[3]) end
redis.call('HSET', KEYS[6], 'status', 'running', 'conversation_id', ARGV[12], 'created_at', ARGV[2],
  'agent_id', ARGV[4], 'model', ARGV[16], 'inbox', ARGV[17])
redis.call('EXPIRE', KEYS[6], ARGV[9])
redis.call('XADD', KEYS[7], '1-0', 'e', 'run.started', 'd', ARGV[13])
redis.call('EXPIRE', KEYS[7], ARGV[9])
return 'ok'
"""

# KEYS conversation, messages, lease, conversations, run, events, words
# ARGV run_id, conversation_id, now_ms, retention_ms, status, message or '', message_id, words of the message, number of
#      the first event, then type and data of each event
# Ends a run once: stores the answer and the last events, and frees the conversation. Answers the run's status.
# An event may be there of which its writer never heard so: the last ones come after it.
FINISH: Final = """#!lua
local status = redis.call('HGET', KEYS[5], 'status')
if not status then return 'gone' end
if status ~= 'running' then return status end
if ARGV[6] ~= '' then
  redis.call('XADD', KEYS[2], '*', 'm', ARGV[6])
  redis.call('HSET', KEYS[7], ARGV[7], ARGV[8])
  redis.call('HINCRBY', KEYS[1], 'message_count', 1)
  redis.call('HINCRBY', KEYS[1], 'version', 1)
  redis.call('HSET', KEYS[1], 'last_activity_at', ARGV[3])
  redis.call('ZADD', KEYS[4], ARGV[3], ARGV[2])
  for _, key in ipairs({KEYS[1], KEYS[2], KEYS[4], KEYS[7]}) do redis.call('PEXPIRE', key, ARGV[4]) end
end
local last = redis.call('XREVRANGE', KEYS[6], '+', '-', 'COUNT', 1)[1][1]
local number = math.max(tonumber(ARGV[9]), tonumber(string.match(last, '^%d+')) + 1)
for i = 10, #ARGV, 2 do
  redis.call('XADD', KEYS[6], number .. '-0', 'e', ARGV[i], 'd', ARGV[i + 1])
  number = number + 1
end
redis.call('HSET', KEYS[5], 'status', ARGV[5], 'finished_at', ARGV[3], 'outcome', ARGV[#ARGV])
if redis.call('GET', KEYS[3]) == ARGV[1] then redis.call('DEL', KEYS[3]) end
return ARGV[5]
"""

# KEYS lease, run;  ARGV run_id, lease_ms
# Keeps a conversation claimed. A lease that ran out while Redis was away is taken again if nobody else has it.
RENEW: Final = """#!lua
local status = redis.call('HGET', KEYS[2], 'status')
if not status then return 'gone' end
if status ~= 'running' then return 'lost' end
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 'lost' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'ok'
"""

# KEYS lease, run, events;  ARGV run_id, now_ms, data of run.failed
# Ends a run whose process is gone, so that whoever follows it hears the end. Answers the run's status.
ABANDON: Final = """#!lua
local status = redis.call('HGET', KEYS[2], 'status')
if not status then return 'gone' end
if status ~= 'running' or redis.call('GET', KEYS[1]) == ARGV[1] then return status end
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1][1]
local number = tonumber(string.match(last, '^%d+')) + 1
redis.call('XADD', KEYS[3], number .. '-0', 'e', 'run.failed', 'd', ARGV[3])
redis.call('HSET', KEYS[2], 'status', 'failed', 'finished_at', ARGV[2], 'outcome', ARGV[3])
return 'failed'
"""

# KEYS lease, run, events;  ARGV run_id, now_ms, data of run.cancelled
# Ends a run that goes on, wherever it does, and frees its conversation. Answers the run's status, and where this has
# ended it the inbox of the process that is to hear of it.
CANCEL: Final = """#!lua
local status = redis.call('HGET', KEYS[2], 'status')
if not status then return {'gone', ''} end
if status ~= 'running' then return {status, ''} end
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1][1]
local number = tonumber(string.match(last, '^%d+')) + 1
redis.call('XADD', KEYS[3], number .. '-0', 'e', 'run.cancelled', 'd', ARGV[3])
redis.call('HSET', KEYS[2], 'status', 'cancelled', 'finished_at', ARGV[2], 'outcome', ARGV[3])
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return {'cancelled', redis.call('HGET', KEYS[2], 'inbox') or ''}
"""
