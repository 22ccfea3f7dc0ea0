"""Runs are looked after by every replica, and only those whose process is gone are ended."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from prometheus_client import Counter
from redis.asyncio import Redis

from local.suite import Suite
from services.chat.bounds import Bounds
from services.chat.domain import Agent, Message, Owner, Turn
from services.chat.errors import Interrupted
from services.chat.given import Given
from services.chat.runs import repository as repositories
from services.chat.runs.counting import CancelledCounts
from services.chat.runs.events import failed, started
from services.chat.runs.repository import RunRepository
from services.chat.runs.supervisor import Supervisor
from services.chat.runs.sweeping import RunSweeper
from services.chat.storage import RUNNING, Keys, running_member
from services.chat.times import now, to_ms
from services.chat.usage.counts import counted_key, day_of, usage_key
from services.chat.usage.meter import Measured, Meter, metered
from services.chat.usage.notes import UsageNotes
from shared.redis import open_redis
from shared.schemas import new_id
from shared.watchdog import Watchdog
from tests.faults.victims import OfSuite
from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat, events_of, until
from tests.services.chat.lapsing import lapse
from tests.services.chat.queueing import busy, waiting
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


async def abandoned(redis: Redis, owner: Owner, number: int) -> str:
    """A run as one leaves it whose process died."""
    run_id, conversation_id, keys = new_id(), new_id(), Keys(owner)
    begun: dict[Any, Any] = {"status": "running", "conversation_id": conversation_id, "created_at": to_ms(now())}
    await redis.hset(keys.run(run_id), mapping=begun)
    await redis.xadd(keys.events(run_id), {"e": "run.started", "d": "{}"}, id="1-0")
    await redis.zadd(RUNNING, {running_member(owner, conversation_id, run_id): number})
    return run_id


def _turn(owner: Owner, run_id: str, conversation_id: str) -> Turn:
    """As the process has it that began the run."""
    question = Message(new_id(), run_id, "user", "Hi", [], now())
    return Turn(run_id, conversation_id, False, owner, Agent(new_id(), "", None, ()), question, "token", "m")


async def test_many_that_died_at_once_are_each_ended_once_by_several_replicas(
    open_chat: OpenChat, person: User, suite: Suite
) -> None:
    owner = Owner(person.tenant_id, person.user_id)
    async with open_redis(suite.url("redis")) as redis:
        runs = [await abandoned(redis, owner, number) for number in range(150)]
        async with open_chat(), open_chat(), open_chat():

            async def are_ended() -> bool:
                async with redis.pipeline(transaction=False) as pipeline:
                    for run in runs:
                        pipeline.hget(Keys(owner).run(run), "status")
                    return set(await pipeline.execute()) == {b"failed"}

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


async def test_what_a_run_has_used_that_is_cancelled_after_its_process_died_is_counted_once(
    open_chat: OpenChat, agent_id: str, person: User, suite: Suite
) -> None:
    owner, bounds = Owner(person.tenant_id, person.user_id), Bounds(0, 600_000, 600, 0, 0)
    run_id, conversation_id = new_id(), new_id()
    turn = replace(_turn(owner, run_id, conversation_id), given=Given([], 0))
    meter = Meter([Measured("m", 12, 5, None, None)])
    async with open_redis(suite.url("redis")) as redis, open_chat(run_lease_seconds=1) as chat:
        chat.headers.update(person.headers)
        repository = RunRepository(redis, bounds, "nobody's")
        await repository.start(turn, started(turn))
        await UsageNotes(redis).note(turn, meter)
        cancelled = await chat.post(f"/api/v1/chat/runs/{run_id}/cancel")
        await lapse(redis, owner, conversation_id, run_id)

        async def is_counted() -> bool:
            return bool((await chat.get("/api/v1/chat/usage")).json()["rows"])

        await until(is_counted)
        with metered(meter):  # a process that comes back all the same
            status = await repository.end(turn, "failed", [failed(2, Interrupted())])
        (row,) = (await chat.get("/api/v1/chat/usage")).json()["rows"]

    assert (cancelled.json()["state"], status) == ("cancelled", "cancelled")
    assert (row["runs"], row["cancelled_runs"], row["prompt_tokens"], row["completion_tokens"]) == (1, 1, 12, 5)


async def test_what_its_process_has_counted_is_not_counted_again(person: User, suite: Suite) -> None:
    owner, bounds = Owner(person.tenant_id, person.user_id), Bounds(0, 600_000, 600, 0, 0)
    run_id, conversation_id = new_id(), new_id()
    turn = replace(_turn(owner, run_id, conversation_id), given=Given([], 0))
    meter = Meter([Measured("m", 12, 5, None, None)])
    suite.up(["redis"])
    async with open_redis(suite.url("redis")) as redis:
        repository, counts = RunRepository(redis, bounds, ""), CancelledCounts(redis, 0)
        await repository.start(turn, started(turn))
        await UsageNotes(redis).note(turn, meter)
        await repository.cancel(owner, run_id, conversation_id)
        early = await CancelledCounts(redis, 60_000).count(owner, run_id)
        with metered(meter):
            await repository.end(turn, "failed", [failed(2, Interrupted())])
        await redis.delete(counted_key(owner, run_id))  # as after ten minutes in which nobody looked
        late = await counts.count(owner, run_id)
        used = await redis.hgetall(usage_key(owner, day_of(turn)))

    assert (early, late) == (False, True)
    assert sorted(int(one) for name, one in used.items() if b"_tokens" in name) == [5, 12]


async def test_a_lease_that_is_missed_once_ends_nothing_however_many_look_at_once(
    person: User, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a Redis that stood still: all leases have run out, and nobody has been able to say so yet."""
    owner, bounds = Owner(person.tenant_id, person.user_id), Bounds(0, 30_000, 0, 0, 0)
    suite.up(["redis"])
    async with open_redis(suite.url("redis")) as redis, open_redis(suite.url("redis")) as another:
        run_id, conversation_id = await abandoned(redis, owner, to_ms(now()) + 60_000), new_id()
        replicas = [RunRepository(redis, bounds, ""), RunRepository(another, bounds, "")]

        async def look() -> list[str]:
            looks = [each.end_if_abandoned(owner, run_id, conversation_id) for each in replicas * 20]
            return await asyncio.gather(*looks)

        with monkeypatch.context() as patched:
            patched.setattr(repositories, "MISSED_MS", 600_000)  # however long it takes them
            first = await look()
        missed = await redis.hget(Keys(owner).run(run_id), "missed")

        async def is_ended() -> bool:
            return "failed" in await look()

        await until(is_ended)

    assert set(first) == {"running"}
    assert missed == b"1"


async def test_whoever_takes_its_lease_again_is_not_given_up_for_looks_of_earlier(person: User, suite: Suite) -> None:
    owner, bounds = Owner(person.tenant_id, person.user_id), Bounds(0, 30_000, 0, 0, 0)
    suite.up(["redis"])
    async with open_redis(suite.url("redis")) as redis:
        run_id, conversation_id = await abandoned(redis, owner, to_ms(now()) + 60_000), new_id()
        repository, keys = RunRepository(redis, bounds, ""), Keys(owner)
        await redis.hset(keys.run(run_id), mapping={"missed": 2, "missed_at": 1})
        renewed = await repository.renew(_turn(owner, run_id, conversation_id))
        await redis.delete(keys.lease(conversation_id))
        status = await repository.end_if_abandoned(owner, run_id, conversation_id)

    assert (renewed, status) == ("ok", "running")


async def test_runs_that_live_go_on_after_a_redis_that_stood_still(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User, suite: Suite
) -> None:
    model.go_on.clear()
    body = {"agent_id": agent_id, "content": "Hi", "stream": True}
    async with (
        open_chat(run_lease_seconds=1) as chat,
        open_chat(run_lease_seconds=1),
        open_chat(run_lease_seconds=1),
        chat.stream("POST", MESSAGE, json=body, headers=person.headers) as response,
    ):
        events = events_of(response)
        await anext(events)
        await model.is_generating.wait()
        await OfSuite(suite, "redis").freeze(4)  # longer than the lease, by far
        async with open_redis(suite.url("redis")) as redis:
            assert await redis.ping()
        model.go_on.set()
        rest = [event async for event in events]

    assert rest[-1].type == "run.completed"


async def test_a_run_that_waits_for_its_turn_is_looked_after_in_one_place_only(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User, suite: Suite
) -> None:
    owner = Owner(person.tenant_id, person.user_id)
    async with (
        open_chat(run_lease_seconds=1) as chat,
        open_chat(run_lease_seconds=1),
        open_redis(suite.url("redis")) as redis,
    ):
        chat.headers.update(person.headers)
        async with (
            busy(chat, agent_id, model) as conversation,
            waiting(chat, conversation.message("two")) as (two, rest),
        ):
            member = running_member(owner, conversation.id, two.data["run_id"])

            async def is_forgotten() -> bool:
                return await redis.zscore(RUNNING, member) is None

            await until(is_forgotten)
            state = await conversation.state_of(two.data["run_id"])
            model.go_on.set()
            last = [event async for event in rest][-1]

    assert (state, last.type) == ("queued", "run.completed")


async def test_what_is_noted_anew_while_it_is_looked_at_is_not_forgotten(person: User, suite: Suite) -> None:
    """As a run that waited and begins just then: its process may die at once."""
    owner, bounds = Owner(person.tenant_id, person.user_id), Bounds(0, 30_000, 0, 0, 0)
    suite.up(["redis"])
    async with open_redis(suite.url("redis")) as redis:
        members = [running_member(owner, new_id(), new_id()) for _ in range(2)]
        await redis.zadd(RUNNING, {member: number + 1 for number, member in enumerate(members)})
        again = to_ms(now()) + 60_000
        supervisor = Supervisor(1, 1, Watchdog(Counter("outlived", "none", registry=None)))

        class Meanwhile(RunRepository):
            async def end_if_abandoned(self, *run: Any) -> Any:
                await redis.zadd(RUNNING, {members[1]: again})
                return await super().end_if_abandoned(*run)

        await RunSweeper(redis, Meanwhile(redis, bounds, ""), supervisor).step()
        scores = [await redis.zscore(RUNNING, member) for member in members]
        await redis.zrem(RUNNING, members[1])

    assert scores == [None, again]
