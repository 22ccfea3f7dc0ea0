"""Reads usage from Redis."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any

from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.keeping import kept_bytes
from services.chat.usage.counts import Count, counts_from, usage_key, users_key
from shared.redis import redis_errors

_AT_ONCE = 64


class UsageRepository:
    """Every method raises Unavailable naming `redis` when it does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def users_of(self, tenant_id: str, days: Sequence[date]) -> list[tuple[date, Owner]]:
        """Who of the tenant has used anything, for each of the days."""
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for day in days:
                    pipeline.smembers(users_key(tenant_id, day))
                found: list[Any] = await pipeline.execute()
        return [
            (day, Owner(tenant_id, user.decode()))
            for day, users in zip(days, found, strict=True)
            for user in sorted(users)
        ]

    async def kept_bytes(self, owner: Owner, *, of_tenant: bool) -> int:
        """What the conversations of the user hold, or all of the tenant's."""
        return await kept_bytes(self._redis, owner, of_tenant=of_tenant)

    async def read(self, wanted: Sequence[tuple[date, Owner]]) -> AsyncIterator[tuple[date, Owner, list[Count]]]:
        """What each of them has used on that day; a part of them at a time."""
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            with redis_errors():
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for day, owner in part:
                        pipeline.hgetall(usage_key(owner, day))
                    found: list[Any] = await pipeline.execute()
            for (day, owner), stored in zip(part, found, strict=True):
                yield day, owner, list(counts_from(stored))
