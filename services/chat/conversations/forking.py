"""Conversations that go on another way: copies of what was said up to a message, made by one script of Redis."""

from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Redis

from services.chat.bounds import Bounds
from services.chat.domain import Owner
from services.chat.errors import (
    ForkedTooMuch,
    ForkTooLarge,
    MessageNotFound,
    TooManyConversations,
)
from services.chat.keeping import KEEPING, KEPT_REFUSALS, kept_keys
from services.chat.repetitions import kept_once, made_before
from services.chat.storage import Keys
from services.chat.times import now, to_ms
from shared.door import Once
from shared.errors import ServiceError
from shared.redis import redis_errors
from shared.schemas import new_id

_MOST_BYTES: Final = 8 * 2**20
"""Of messages and words that one fork copies: some hundredths of a second, for which Redis does nothing else."""
_MOST_BYTES_OF_A_DAY: Final = 256 * 2**20
"""That one user's forks copy within a day of the first of them: a small request must not fill Redis."""
_DAY_SECONDS: Final = 86_400

# KEYS conversation, messages and words of the source, the same of the fork, conversations, once, copied, the count of
#      what is kept, summary of the source, that of the fork
# ARGV now_ms, retention_ms, max_conversations, id of the source, message_id, id of the fork, what `once` shall hold (or
#      '' without a key), kept_seconds, bytes at most, bytes of a day at most, seconds of a day, user_id,
#      bytes that a user and a tenant keep at most
# Copies title, metadata, and the messages up to the one named, under the ids they have, and a summary of no more than
# these. A run may be going on: nothing of it is copied but the message it answers. Writes nothing before all is found.
# Too large is told before unknown: so much is not even read. Answers a word, and with `copied_too_much` after how many
# seconds that is over.
_FORK: Final = (
    "#!lua"
    + KEEPING
    + """
local count_kept = {KEYS[10], KEYS[11], KEYS[12], ARGV[12]}
if ARGV[7] ~= '' and redis.call('EXISTS', KEYS[8]) == 1 then return 'taken' end
local source = redis.call('HMGET', KEYS[1], 'agent_id', 'title', 'metadata', 'tags')
if not source[1] or is_old(KEYS[7], ARGV[4], ARGV[1] - ARGV[2]) then return 'missing' end
forget_old(count_kept, KEYS[7], ARGV[1] - ARGV[2])
if redis.call('ZCARD', KEYS[7]) >= tonumber(ARGV[3]) then return 'too_many' end
local function each(last, visit)
  local start, entries = '-', nil
  repeat
    entries = redis.call('XRANGE', KEYS[2], start, last, 'COUNT', 4)
    for _, entry in ipairs(entries) do
      if visit(entry[1], entry[2][2], string.match(entry[2][2], '^{"id":"([^"]+)"')) then return entry[1] end
    end
    if #entries > 0 then start = '(' .. entries[#entries][1] end
  until #entries < 4
end
local bytes, most = 0, tonumber(ARGV[9])
local last = each('+', function(_, message, id)
  bytes = bytes + #message + redis.call('HSTRLEN', KEYS[3], id)
  return id == ARGV[5] or bytes > most
end)
if bytes > most then return 'too_large' end
if not last then return 'unknown' end
bytes = bytes + told_beside(source[3], source[4])
if tonumber(redis.call('GET', KEYS[9]) or 0) + bytes > tonumber(ARGV[10]) then
  return 'copied_too_much ' .. redis.call('TTL', KEYS[9])
end
local refused = refusal(count_kept, bytes, ARGV[13], ARGV[14], KEYS[7], ARGV[1] - ARGV[2], ARGV[1])
if refused then return refused end
local count, summary = 0, redis.call('GET', KEYS[13])
local summarised = summary and cjson.decode(summary)['message_id']
each(last, function(place, message, id)
  redis.call('XADD', KEYS[5], place, 'm', message)
  redis.call('HSET', KEYS[6], id, redis.call('HGET', KEYS[3], id) or '')
  count = count + 1
  if id == summarised then redis.call('SET', KEYS[14], summary, 'PX', ARGV[2]) end
end)
redis.call('HSET', KEYS[6], 'title', redis.call('HGET', KEYS[3], 'title') or '')
redis.call('HSET', KEYS[4], 'agent_id', source[1], 'title', source[2], 'metadata', source[3] or '{}',
  'tags', source[4] or '', 'message_count', count, 'version', 1, 'created_at', ARGV[1], 'last_activity_at', ARGV[1],
  'forked_from', cjson.encode({conversation_id = ARGV[4], message_id = ARGV[5]}))
redis.call('ZADD', KEYS[7], ARGV[1], ARGV[6])
keep(count_kept, ARGV[6], bytes, ARGV[1] + ARGV[2])
if redis.call('INCRBY', KEYS[9], bytes) == bytes then redis.call('EXPIRE', KEYS[9], ARGV[11]) end
for _, key in ipairs({KEYS[4], KEYS[5], KEYS[6], KEYS[7]}) do redis.call('PEXPIRE', key, ARGV[2]) end
if ARGV[7] ~= '' then redis.call('SET', KEYS[8], ARGV[7], 'EX', ARGV[8]) end
return 'ok'
"""
)
_REFUSALS: Final[dict[str, Callable[[], ServiceError]]] = {
    "unknown": MessageNotFound,
    "too_many": TooManyConversations,
    "too_large": ForkTooLarge,
    **KEPT_REFUSALS,
}


class Forks:
    """Makes forks. Raises Unavailable naming `redis` when it does not answer."""

    def __init__(self, redis: Redis, bounds: Bounds) -> None:
        self._redis, self._bounds, self._fork = redis, bounds, redis.register_script(_FORK)

    async def make(self, owner: Owner, conversation_id: str, message_id: str, once: Once | None) -> str:
        """The id of the conversation that ends with the message; of the earlier one for a repetition of `once`.

        Raises ConversationNotFound, MessageNotFound, TooManyConversations, ForkTooLarge, ForkedTooMuch,
        KeptTooMuch, IdempotencyKeyReused.
        """
        while True:
            if once and (made := await made_before(self._redis, owner, once)):
                return str(made["conversation_id"])
            fork_id = new_id()
            answer, _, seconds = (await self._make(owner, conversation_id, message_id, fork_id, once)).partition(" ")
            if answer == "ok":
                return fork_id
            if answer == "copied_too_much":
                raise ForkedTooMuch(max(1, int(seconds)))
            if answer != "taken":  # by the same request, which is found then
                raise _REFUSALS[answer]()

    async def _make(self, owner: Owner, conversation_id: str, message_id: str, fork_id: str, once: Once | None) -> str:
        keys = Keys(owner)
        of_both = (keys.conversation, keys.messages, keys.words)
        names = [
            *[name(one) for one in (conversation_id, fork_id) for name in of_both],
            keys.conversations,
            keys.once(once.digest if once else b""),
            keys.copied,
            *kept_keys(owner),
            *[keys.summary(one) for one in (conversation_id, fork_id)],
        ]
        held = kept_once(once, conversation_id=fork_id)
        arguments: list[Any] = [
            to_ms(now()),
            self._bounds.retention_of(owner),
            self._bounds.max_conversations,
            conversation_id,
            message_id,
            fork_id,
            held,
            self._bounds.kept_seconds,
            _MOST_BYTES,
            _MOST_BYTES_OF_A_DAY,
            _DAY_SECONDS,
            owner.user_id,
            *self._bounds.kept.arguments,
        ]
        with redis_errors():
            return str(await self._fork(keys=names, args=arguments), "ascii")
