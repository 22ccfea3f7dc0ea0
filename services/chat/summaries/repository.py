"""A summary of each conversation in Redis: it holds while the message is there that it ends with."""

from dataclasses import asdict
from typing import Any, Final

import orjson
from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.storage import Keys
from services.chat.summaries.domain import Summary
from shared.redis import redis_errors

# KEYS conversation, words, summary
# The summary as it is kept, from now on for as long as its conversation; forgotten where its last message is no more.
_FIND: Final = """#!lua
local kept = redis.call('GET', KEYS[3])
if not kept then return false end
local lasts = redis.call('PTTL', KEYS[1])
if lasts > 0 and redis.call('HEXISTS', KEYS[2], cjson.decode(kept)['message_id']) == 1 then
  redis.call('PEXPIRE', KEYS[3], lasts)
  return kept
end
redis.call('DEL', KEYS[3])
return false
"""

# KEYS conversation, words, summary;  ARGV summary, id of its last message
# Keeps it unless that message, or all of the conversation, was deleted meanwhile.
_KEEP: Final = """#!lua
local lasts = redis.call('PTTL', KEYS[1])
if lasts > 0 and redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then
  redis.call('SET', KEYS[3], ARGV[1], 'PX', lasts)
end
"""


class SummaryRepository:
    """Every method raises Unavailable naming `redis` when it does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._find, self._keep = redis.register_script(_FIND), redis.register_script(_KEEP)

    async def find(self, owner: Owner, conversation_id: str) -> Summary | None:
        """The one that holds."""
        with redis_errors():
            kept: Any = await self._find(keys=_keys(owner, conversation_id))
        return Summary(**orjson.loads(kept)) if kept else None

    async def keep(self, owner: Owner, conversation_id: str, summary: Summary) -> None:
        """In place of the last one."""
        with redis_errors():
            await self._keep(
                keys=_keys(owner, conversation_id), args=[orjson.dumps(asdict(summary)), summary.message_id]
            )


def _keys(owner: Owner, conversation_id: str) -> list[str]:
    keys = Keys(owner)
    return [keys.conversation(conversation_id), keys.words(conversation_id), keys.summary(conversation_id)]
