"""What puts messages into a conversation as they are, and takes one out of it, as Redis scripts."""

from typing import Final

from services.chat.keeping import KEEPING
from services.chat.runs.script_parts import IS_BUSY

# KEYS conversation, messages, words, conversations, once, the count of what is kept, lease, queue, how keys of runs
#      begin
# ARGV new?, now_ms, retention_ms, conversation_id, what `once` shall hold (or '' without a key), kept_seconds,
#      max_conversations, max_messages, user_id, bytes at most of a user and of a tenant, title (or ''), its words,
#      metadata, tags, then of each message itself, its id and its words
# Makes the conversation, with no agent as yet, or goes on with it: all of the messages are put at its end, or nothing.
PUT: Final = (
    "#!lua"
    + KEEPING
    + IS_BUSY
    + """
local count, before_ms, bytes = {KEYS[6], KEYS[7], KEYS[8], ARGV[9]}, ARGV[2] - ARGV[3], 0
for i = 16, #ARGV, 3 do bytes = bytes + #ARGV[i] + #ARGV[i + 2] end
if ARGV[5] ~= '' and redis.call('EXISTS', KEYS[5]) == 1 then return 'taken' end
if ARGV[1] == '1' then
  bytes = bytes + told_beside(ARGV[14], ARGV[15])
  forget_old(count, KEYS[4], before_ms)
  if redis.call('ZCARD', KEYS[4]) >= tonumber(ARGV[7]) then return 'too_many' end
elseif redis.call('EXISTS', KEYS[1]) == 0 or is_old(KEYS[4], ARGV[4], before_ms) then
  return 'missing'
end
if redis.call('XLEN', KEYS[2]) + (#ARGV - 15) / 3 > tonumber(ARGV[8]) then return 'full' end
local refused = refusal(count, bytes, ARGV[10], ARGV[11], KEYS[4], before_ms, ARGV[2])
if refused then return refused end
if is_busy(KEYS[1], KEYS[9], KEYS[10], KEYS[11]) then return 'active' end
if ARGV[1] == '1' then
  redis.call('HSET', KEYS[1], 'agent_id', '', 'title', '', 'created_at', ARGV[2], 'metadata', ARGV[14],
    'tags', ARGV[15], 'message_count', 0)
end
if ARGV[12] ~= '' and redis.call('HGET', KEYS[1], 'title') == '' then
  redis.call('HSET', KEYS[1], 'title', ARGV[12])
  redis.call('HSET', KEYS[3], 'title', ARGV[13])
end
for i = 16, #ARGV, 3 do
  redis.call('XADD', KEYS[2], '*', 'm', ARGV[i])
  redis.call('HSET', KEYS[3], ARGV[i + 1], ARGV[i + 2])
end
redis.call('HINCRBY', KEYS[1], 'message_count', (#ARGV - 15) / 3)
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HSET', KEYS[1], 'last_activity_at', ARGV[2])
redis.call('ZADD', KEYS[4], ARGV[2], ARGV[4])
keep(count, ARGV[4], bytes, ARGV[2] + ARGV[3])
for i = 1, 4 do redis.call('PEXPIRE', KEYS[i], ARGV[3]) end
if ARGV[5] ~= '' then redis.call('SET', KEYS[5], ARGV[5], 'EX', ARGV[6]) end
return 'ok'
"""
)

# KEYS conversation, messages, words, conversations, summary, the count of what is kept, lease, queue, how keys of runs
#      begin
# ARGV conversation_id, the time before which one is old in ms, message_id, its place, user_id, the title that it makes
# Takes one message out, in a Redis that is full too, and with it what tells what it said: the summary, and the title
# that was made of it, in whose place the next message makes one.
TAKE_OUT: Final = (
    "#!lua flags=allow-oom"
    + KEEPING
    + IS_BUSY
    + """
if redis.call('EXISTS', KEYS[1]) == 0 or is_old(KEYS[4], ARGV[1], tonumber(ARGV[2])) then return 'missing' end
if is_busy(KEYS[1], KEYS[9], KEYS[10], KEYS[11]) then return 'active' end
local found = redis.call('XRANGE', KEYS[2], ARGV[4], ARGV[4])[1]
if not found then return 'unknown' end
forget({KEYS[6], KEYS[7], KEYS[8], ARGV[5]}, ARGV[1], #found[2][2] + redis.call('HSTRLEN', KEYS[3], ARGV[3]))
redis.call('XDEL', KEYS[2], ARGV[4])
redis.call('HDEL', KEYS[3], ARGV[3])
redis.call('DEL', KEYS[5])
if redis.call('HGET', KEYS[1], 'title') == ARGV[6] then
  redis.call('HSET', KEYS[1], 'title', '')
  redis.call('HDEL', KEYS[3], 'title')
end
redis.call('HINCRBY', KEYS[1], 'message_count', -1)
redis.call('HINCRBY', KEYS[1], 'version', 1)
return 'ok'
"""
)
