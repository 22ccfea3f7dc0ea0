"""Counts what a cancelled run has used where its process is gone: of one that lives that process does, and knows more.
So with one that is deleted before it has ended.

Whoever cancels cannot tell the two apart. So it is counted by those who look after runs (`sweeping.py`), once a process
that lives would have done so.
"""

from typing import Any, Final

from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.runs.script_parts import COUNT_LEFT, KEEP_NOTES
from services.chat.storage import Keys
from services.chat.times import from_ms, now, to_ms
from services.chat.usage.counts import GUARDED_SECONDS, KEPT_SECONDS, counted_key, usage_key
from shared.redis import redis_errors

# KEYS run, usage, counted;  ARGV now_ms, for how many ms a process may yet count it, kept_seconds of `counted` and of
#      `usage`
# Counts what was noted of a cancelled run, in a Redis that is full too: it would keep others from being looked after.
# Whether nothing is left to be counted, now or later.
_COUNT_CANCELLED: Final = (
    "#!lua flags=allow-oom"
    + COUNT_LEFT
    + """
local run = redis.call('HMGET', KEYS[1], 'status', 'finished_at', 'used', 'source', 'is_counted')
if run[1] ~= 'cancelled' or run[5] or not (run[3] or run[4]) or redis.call('EXISTS', KEYS[3]) == 1 then return 1 end
if ARGV[1] - run[2] < tonumber(ARGV[2]) then return 0 end
count_left('cancelled', KEYS[1], KEYS[2], KEYS[3], ARGV[3], ARGV[4])
return 1
"""
)

# KEYS runs;  ARGV now_ms, kept_seconds of what is noted of them
# For what a transaction deletes behind it, in a Redis that is full too.
LEAVE_NOTES: Final = (
    "#!lua flags=allow-oom"
    + KEEP_NOTES
    + """
for _, run in ipairs(KEYS) do keep_notes(run, ARGV[1], ARGV[2]) end
return 1
"""
)


class CancelledCounts:
    """Raises Unavailable naming `redis` when it does not answer."""

    def __init__(self, redis: Redis, lease_ms: int) -> None:
        """A process that lives renews the lease of its run several times in `lease_ms`, and hears that it has none."""
        self._redis, self._lease_ms = redis, lease_ms
        self._count = redis.register_script(_COUNT_CANCELLED)

    async def count(self, owner: Owner, run_id: str, *, is_deleted: bool = False) -> bool:
        """Whether all that the cancelled, or deleted, run has used is counted: by its process, or now."""
        name = Keys(owner).left(run_id) if is_deleted else Keys(owner).run(run_id)
        with redis_errors():
            began: Any = await self._redis.hget(name, "created_at")
            usage = usage_key(owner, from_ms(int(began or 0)).date())
            names = [name, usage, counted_key(owner, run_id)]
            arguments = [to_ms(now()), self._lease_ms, GUARDED_SECONDS, KEPT_SECONDS]
            return bool(await self._count(keys=names, args=arguments))
