"""Whose usage a tenant has, day by day."""

from datetime import date

from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.usage.counts import KEPT_SECONDS, users_key


class UsageUsers:
    """Writes each user down once a day and process: the set is in another slot than what the run's script writes."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._day, self._named = date.min, set[Owner]()

    async def name(self, owner: Owner, day: date) -> None:
        """Have the tenant's usage of the day found by this user. Raises what Redis raises."""
        if day > self._day:
            self._day, self._named = day, set()
        if day == self._day and owner in self._named:
            return
        name = users_key(owner.tenant_id, day)
        async with self._redis.pipeline() as pipeline:
            pipeline.sadd(name, owner.user_id)
            pipeline.expire(name, KEPT_SECONDS)
            await pipeline.execute()
        if day == self._day:
            self._named.add(owner)
