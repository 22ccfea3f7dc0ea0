"""Runs are looked after by every replica, and only those whose process is gone are ended."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import httpx
from redis.asyncio import Redis

from local.suite import Suite
from services.chat.bounds import Bounds
from services.chat.domain import Owner
from services.chat.runs.grace import SLOW_SECONDS
from services.chat.runs.repository import RunRepository
from services.chat.storage import RUNNING, Keys, running_member
from services.chat.times import now, to_ms
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.services.agents.relay import Relay
from tests.services.chat.client import OpenChat, events_of, until
from tests.services.chat.servers import ModelServer

MESSAGE = "/api/v1/chat/message"


async def test_a_run_that_goes_on_is_left_alone_and_forgotten_when_it_has_ended(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User, suite: Suite
) -> None:
    owner = Owner(person.tenant_id, person.user_id)
    model.go_on.clear()
    async with (
        open_chat(run_lease_seconds=1) as chat,
        open_chat(run_lease_seconds=1),
        open_redis(suite.url("redis")) as redis,
        chat.stream(
            "POST", MESSAGE, json={"agent_id": agent_id, "content": "Hi", "stream": True}, headers=person.headers
        ) as response,
    ):
        events = events_of(response)
        ids = (await anext(events)).data
        member = running_member(owner, ids["conversation_id"], ids["run_id"])
        noted = await redis.zscore(RUNNING, member) or 0

        async def is_put_off_twice() -> bool:
            return (await redis.zscore(RUNNING, member) or 0) > noted + 2_000

        async def is_forgotten() -> bool:
            return await redis.zscore(RUNNING, member) is None

        await until(is_put_off_twice)
        model.go_on.set()
        rest = [event async for event in events]
        await until(is_forgotten)

    assert rest[-1].type == "run.completed"


async def _abandoned(redis: Redis, owner: Owner, number: int) -> str:
    """A run as one leaves it whose process died."""
    run_id, conversation_id, keys = new_id(), new_id(), Keys(owner)
    begun: dict[Any, Any] = {"status": "running", "conversation_id": conversation_id, "created_at": to_ms(now())}
    await redis.hset(keys.run(run_id), mapping=begun)
    await redis.xadd(keys.events(run_id), {"e": "run.started", "d": "{}"}, id="1-0")
    await redis.zadd(RUNNING, {running_member(owner, conversation_id, run_id): number})
    return run_id


async def test_many_that_died_at_once_are_each_ended_once_by_several_replicas(
    open_chat: OpenChat, person: User, suite: Suite
) -> None:
    owner = Owner(person.tenant_id, person.user_id)
    async with open_redis(suite.url("redis")) as redis:
        runs = [await _abandoned(redis, owner, number) for number in range(250)]
        async with open_chat(), open_chat(), open_chat():

            async def are_ended() -> bool:
                statuses = await asyncio.gather(*[redis.hget(Keys(owner).run(run), "status") for run in runs])
                return set(statuses) == {b"failed"}

            await until(are_ended)
        lengths = {await redis.xlen(Keys(owner).events(run)) for run in runs}

    assert lengths == {2}


async def test_a_run_that_was_noted_and_never_began_is_forgotten(
    chat: httpx.AsyncClient, person: User, suite: Suite
) -> None:
    member = running_member(Owner(person.tenant_id, person.user_id), new_id(), new_id())
    async with open_redis(suite.url("redis")) as redis:
        await redis.zadd(RUNNING, {member: 1})

        async def is_forgotten() -> bool:
            return await redis.zscore(RUNNING, member) is None

        await until(is_forgotten)


async def test_a_message_is_taken_by_a_redis_that_knows_no_script_any_more(
    chat: httpx.AsyncClient, agent_id: str, suite: Suite
) -> None:
    async with open_redis(suite.url("redis")) as redis:
        await redis.script_flush()

    answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello"})

    assert answer.status_code == 200


async def test_after_a_redis_that_stood_still_runs_that_live_are_not_given_up(person: User, suite: Suite) -> None:
    """Their leases have run out, and whoever holds them has not been able to say so yet."""
    owner, bounds = Owner(person.tenant_id, person.user_id), Bounds(0, 30_000, 0, 0, 0)
    suite.up(["redis"])
    relay, url = Relay(suite.url("redis")), urlsplit(suite.url("redis"))
    relayed = url._replace(netloc=url.netloc.replace(f":{url.port}", f":{relay.port}")).geturl()
    await relay.open()
    async with open_redis(relayed) as slow, open_redis(suite.url("redis")) as redis:
        run_id = await _abandoned(redis, owner, to_ms(now()) + 60_000)
        repository = RunRepository(slow, bounds, "")
        await repository.find_last_event(owner, run_id)
        relay.freeze()
        giving_up = asyncio.create_task(repository.end_if_abandoned(owner, run_id, new_id()))
        await asyncio.wait([giving_up], timeout=2 * SLOW_SECONDS)
        relay.thaw()
        statuses = [await giving_up, await repository.end_if_abandoned(owner, run_id, new_id())]
        elsewhere = await RunRepository(redis, bounds, "").end_if_abandoned(owner, run_id, new_id())
    await relay.close()

    assert statuses == ["running", "running"]
    assert elsewhere == "failed"
