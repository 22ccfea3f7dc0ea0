"""Whose usage a tenant has, day by day."""

from datetime import date
from typing import Final

from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.usage.counts import KEPT_SECONDS, users_key

# KEYS users of a day;  ARGV user_id, kept_seconds
# In a Redis that is full too: a run that fails there is counted.
_NAME: Final = """#!lua flags=allow-oom
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
"""


class UsageUsers:
    """Writes each user down once a day and process: the set is in another slot than what the run's script writes."""

    def __init__(self, redis: Redis) -> None:
        self._name = redis.register_script(_NAME)
        self._day, self._named = date.min, set[Owner]()

    async def name(self, owner: Owner, day: date) -> None:
        """Have the tenant's usage of the day found by this user. Raises what Redis raises."""
        if day > self._day:
            self._day, self._named = day, set()
        if day == self._day and owner in self._named:
            return
        name = users_key(owner.tenant_id, day)
        await self._name(keys=[name], args=[owner.user_id, KEPT_SECONDS])
        if day == self._day:
            self._named.add(owner)
