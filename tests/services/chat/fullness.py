"""A Redis without memory for anything more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis


@asynccontextmanager
async def full(redis: Redis) -> AsyncIterator[None]:
    """As long as the block runs it refuses whatever takes memory."""
    before = str((await redis.config_get("maxmemory"))["maxmemory"])
    await redis.config_set("maxmemory", "1")
    try:
        yield
    finally:
        await redis.config_set("maxmemory", before)
