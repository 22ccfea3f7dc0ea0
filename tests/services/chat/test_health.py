"""chat's readiness notices a Redis that answers and takes no writes."""

import httpx

from local.suite import Suite
from shared.redis import open_redis
from tests.fixtures.readiness import until_check


async def test_a_redis_without_memory_is_told_and_back_by_itself(chat: httpx.AsyncClient, suite: Suite) -> None:
    await until_check(chat, "redis", "pass")
    async with open_redis(suite.url("redis")) as redis:
        before = str((await redis.config_get("maxmemory"))["maxmemory"])
        await redis.config_set("maxmemory", "1")
        try:
            told = await until_check(chat, "redis", "fail")
            assert await redis.ping()
            assert (await chat.get("/api/v1/chat/conversations")).status_code == 200
        finally:
            await redis.config_set("maxmemory", before)

    assert told["code"] == 503
    assert told["detail"] == (
        "redis refuses writes: look at its memory, its disk and its log, then restart it (`make up`)"
    )
    await until_check(chat, "redis", "pass")
