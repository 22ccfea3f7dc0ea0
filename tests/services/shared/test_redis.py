"""What a Redis refuses is told apart, and a pool of connections outlives the server they led to."""

import asyncio

import pytest
from redis.exceptions import ResponseError

from local.suite import Suite
from shared.errors import StorageFull, Unavailable
from shared.redis import open_redis, redis_errors, write_and_read_back

AT_ONCE = 20
SAID = {
    "MISCONF Errors writing to the AOF file: No space left on device": StorageFull,
    "MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist to disk": Unavailable,
    "OOM command not allowed when used memory > 'maxmemory'": Unavailable,
    "ERR wrong number of arguments": ResponseError,
}


@pytest.mark.parametrize(("said", "becomes"), SAID.items(), ids=["disk", "snapshot", "memory", "ours"])
async def test_what_redis_says_is_told_apart(suite: Suite, said: str, becomes: type[Exception]) -> None:
    suite.up(["redis"])
    async with open_redis(suite.url("redis")) as redis:
        with pytest.raises(becomes) as raised, redis_errors():
            await redis.eval("return redis.error_reply(ARGV[1])", 0, said)

    assert type(raised.value) is becomes


async def test_a_restart_of_redis_costs_no_request_of_those_that_come_after_it(suite: Suite) -> None:
    suite.up(["redis"])
    async with open_redis(suite.url("redis")) as redis:
        await asyncio.gather(*(redis.echo("before") for _ in range(AT_ONCE)))

        await asyncio.to_thread(suite.kill, "redis")
        await asyncio.to_thread(suite.start, "redis")

        one_by_one = [await redis.echo(str(number)) for number in range(AT_ONCE)]
        at_once = await asyncio.gather(*(redis.echo(str(number)) for number in range(AT_ONCE)))

    assert one_by_one == at_once == [str(number).encode() for number in range(AT_ONCE)]


async def test_what_may_be_lost_makes_room_and_what_may_not_is_never_evicted(suite: Suite) -> None:
    suite.up(["redis", "redis-cache"])
    megabyte, filler = b"x" * 2**20, [f"filler:{number}" for number in range(80)]
    async with open_redis(suite.url("redis")) as keeping, open_redis(suite.url("redis-cache")) as forgetting:
        for name in filler:
            await forgetting.set(name, megabyte, ex=60)
        await write_and_read_back(forgetting, "test")
        left = await forgetting.exists(*filler)
        await forgetting.delete(*filler)
        told = await keeping.config_get("appendonly", "appendfsync", "maxmemory-policy")

    assert 0 < left < len(filler)
    assert told == {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
