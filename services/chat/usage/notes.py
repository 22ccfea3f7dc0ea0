"""Notes what a run has used so far, for whoever ends it where its process dies."""

from typing import Final

from redis.asyncio import Redis

from services.chat.domain import Turn
from services.chat.storage import Keys
from services.chat.usage.counts import counts_of, day_of
from services.chat.usage.meter import Meter
from services.chat.usage.users import UsageUsers
from shared.redis import redis_errors

# KEYS run;  ARGV since, what it has used since then
# Notes what a run has used so far, as long as it goes on here.
_NOTE: Final = """#!lua
local run = redis.call('HMGET', KEYS[1], 'status', 'since')
if run[1] == 'running' and (run[2] or '0') == ARGV[1] then redis.call('HSET', KEYS[1], 'used', ARGV[2]) end
"""


class UsageNotes:
    """Writes them into the hash of the run."""

    def __init__(self, redis: Redis) -> None:
        self._users, self._note = UsageUsers(redis), redis.register_script(_NOTE)

    async def note(self, turn: Turn, meter: Meter) -> None:
        """What the run has used since it went on last, as if it ended now. Raises Unavailable naming `redis`."""
        with redis_errors():
            await self._users.name(turn.owner, day_of(turn))
            await self._note(
                keys=[Keys(turn.owner).run(turn.run_id)], args=[turn.since, counts_of(turn, meter.so_far())]
            )
