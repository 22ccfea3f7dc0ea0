"""What is kept of responses with their runs."""

from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.responses.errors import ResponseNotFound
from services.chat.responses.kept import Kept, kept_from
from services.chat.runs.log_scripts import LOG
from services.chat.runs.script_parts import KEEP_NOTES
from services.chat.storage import Keys
from services.chat.times import now, to_ms
from services.chat.usage.counts import GUARDED_SECONDS
from shared.redis import redis_errors

# KEYS run, events, hold, lease, runs;  ARGV run_id, now_ms, kept_seconds of what is noted of it
# Forgets a response and its run, in a Redis that is full too; what its conversation has of it stays there.
_DELETE: Final = (
    "#!lua flags=allow-oom"
    + LOG
    + KEEP_NOTES
    + """
local log = log_of(KEYS[1])
keep_notes(KEYS[1], ARGV[2], ARGV[3])
if redis.call('HEXISTS', log.bytes, log.name) == 1 then log_forget(log, log.name) end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
if redis.call('GET', KEYS[4]) == ARGV[1] then redis.call('DEL', KEYS[4]) end
redis.call('SREM', KEYS[5], ARGV[1])
return 1
"""
)

# KEYS how keys of runs begin;  ARGV ids of items
# By each of them the response that has it among its first 255, or ''. As `output_id` makes ids, there are so many runs
# that may have said it, and no index is needed.
_FIND: Final = """#!lua flags=no-writes
local found = {}
for i, item in ipairs(ARGV) do
  local head, tail = string.sub(item, 1, 34), tonumber(string.sub(item, 35), 16)
  found[i] = ''
  for place = 1, 255 do
    local run_id = head .. string.format('%02x', bit.bxor(tail, place))
    if redis.call('HEXISTS', KEYS[1] .. run_id, 'kept') == 1 then
      found[i] = run_id
      break
    end
  end
end
return found
"""


class ResponseRepository:
    """Every method raises Unavailable naming `redis` when it does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._delete, self._find = redis.register_script(_DELETE), redis.register_script(_FIND)

    async def get(self, owner: Owner, run_id: str) -> Kept:
        """Raises ResponseNotFound, also for a run that is no response, or one that is not to be stored."""
        with redis_errors():
            stored: Any = await self._redis.hget(Keys(owner).run(run_id), "kept")
        if stored is None:
            raise ResponseNotFound
        return kept_from(stored)

    async def find_said(self, owner: Owner, ids: Sequence[str]) -> list[str | None]:
        """By each id of an item, which is a UUID, the run of the response that may have said it."""
        with redis_errors():
            found: Any = await self._find(keys=[Keys(owner).run("")], args=list(ids))
        return [run_id.decode() or None for run_id in found]

    async def delete(self, owner: Owner, run_id: str, conversation_id: str) -> None:
        """Forget it and its run; a process that executes that finds it gone and ends."""
        keys = Keys(owner)
        names = [
            keys.run(run_id),
            keys.events(run_id),
            keys.hold(run_id),
            keys.lease(conversation_id),
            keys.runs(conversation_id),
        ]
        with redis_errors():
            await self._delete(keys=names, args=[run_id, to_ms(now()), GUARDED_SECONDS])
