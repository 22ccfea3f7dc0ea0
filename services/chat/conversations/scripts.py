"""What changes a conversation beside its messages, as a Redis script."""

from typing import Final

from services.chat.keeping import KEEPING

# KEYS conversation, words, conversations, the count of what is kept
# ARGV conversation_id, now_ms, retention_ms, user_id, bytes at most of a user and of a tenant, the version that it is
#      to have (or '' for any), another title?, title, its words, other metadata?, metadata, tags
# Answers a word, or all of the conversation's hash as it is then.
UPDATE: Final = (
    "#!lua"
    + KEEPING
    + """
local count, before_ms = {KEYS[4], KEYS[5], KEYS[6], ARGV[4]}, ARGV[2] - ARGV[3]
local held = redis.call('HMGET', KEYS[1], 'version', 'metadata', 'tags')
if not held[1] or is_old(KEYS[3], ARGV[1], before_ms) then return 'missing' end
if ARGV[7] ~= '' and held[1] ~= ARGV[7] then return 'changed' end
if ARGV[11] == '1' then
  local more = told_beside(ARGV[12], ARGV[13]) - told_beside(held[2], held[3])
  if more > 0 then
    local refused = refusal(count, more, ARGV[5], ARGV[6], KEYS[3], before_ms, ARGV[2])
    if refused then return refused end
    keep(count, ARGV[1], more, redis.call('EXISTS', count[1]) == 0 and ARGV[2] + ARGV[3] or nil)
  elseif more < 0 then
    forget(count, ARGV[1], -more)
  end
  redis.call('HSET', KEYS[1], 'metadata', ARGV[12], 'tags', ARGV[13])
end
if ARGV[8] == '1' then
  redis.call('HSET', KEYS[1], 'title', ARGV[9])
  redis.call('HSET', KEYS[2], 'title', ARGV[10])
  redis.call('PEXPIRE', KEYS[2], ARGV[3], 'NX')
end
redis.call('HINCRBY', KEYS[1], 'version', 1)
return redis.call('HGETALL', KEYS[1])
"""
)
