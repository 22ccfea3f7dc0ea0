"""What the logs of runs hold is counted as it lies in Redis, and bounded for a run, a user and a tenant."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.runs.log_scripts import END, OF_A_RUN, OF_AN_EVENT
from services.chat.runs.logs import log_bytes, logs_key
from services.chat.storage import Keys
from shared.redis import open_redis
from tests.fixtures.identity import RegisterUser, User
from tests.services.chat.client import OpenChat, until
from tests.services.chat.lapsing import lapse
from tests.services.chat.processes import StartProcess
from tests.services.chat.queueing import CONVERSATIONS, MESSAGE, RUNS, busy, waiting
from tests.services.chat.scripts import calls, says
from tests.services.chat.servers import ModelServer, Neighbours
from tests.services.chat.test_tools import WEATHER

MIB = 2**20
UNENDED = {b"queued", b"running", b"requires_action"}
ABOUT = 200  # bytes: the place in a queue, which is known last, and such


@pytest.fixture
def owner(person: User) -> Owner:
    return Owner(person.tenant_id, person.user_id)


@pytest.fixture
async def redis(suite: Suite) -> AsyncIterator[Redis]:
    async with open_redis(suite.url("redis")) as client:
        yield client


async def lies(redis: Redis, owner: Owner) -> int:
    """What the logs of all of the user's runs hold, as they lie there."""
    root = Keys(owner).run("")
    names = {key async for key in redis.scan_iter(f"{root}*", count=10_000) if key.count(b":") == root.count(":")}
    return sum([await _held(redis, name.decode()) for name in names])


async def _held(redis: Redis, name: str) -> int:
    entries: Any = await redis.xrange(f"{name}:events")
    run: Any = await redis.hgetall(name)
    told = sum(len(fields[b"e"]) + len(fields[b"d"]) + OF_AN_EVENT for _, fields in entries)
    beside = (b"question", b"waiting", b"loop", b"outcome")
    stored = sum(len(value) for field, value in run.items() if field in beside or field.startswith(b"call:"))
    return OF_A_RUN + told + stored + (END if run[b"status"] in UNENDED else 0)


async def say(chat: httpx.AsyncClient, agent_id: str, **members: Any) -> httpx.Response:
    return await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello"} | members)


async def age(redis: Redis, owner: Owner) -> None:
    """Have all runs of the user ended long ago."""
    root = Keys(owner).run("")
    async for key in redis.scan_iter(f"{root}*", count=10_000):
        if key.count(b":") == root.count(":") and await redis.hexists(key, "finished_at"):
            await redis.hset(key, "finished_at", 1)


async def test_everything_that_a_run_tells_is_counted(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer, neighbours: Neighbours, redis: Redis, owner: Owner
) -> None:
    """Answered, waiting for its turn or an approval, cancelled, and gone with its conversation."""
    seen = list[tuple[int, int]]()

    async def look() -> None:
        """At both while nothing is written: what a run has found may be stored while its model is asked."""
        before, there, after = None, 0, await log_bytes(redis, owner)
        while after != before:
            before, there = after, await lies(redis, owner)
            after = await log_bytes(redis, owner)
        own, of_tenant = after
        assert own == of_tenant
        seen.append((own, there))

    await say(chat, agent_id)
    await look()
    async with busy(chat, agent_id, model) as conversation:
        async with waiting(chat, conversation.message("two" * 100)) as (queued, _):
            await chat.post(f"{RUNS}/{queued.data['run_id']}/cancel")
            await look()
        async with waiting(chat, conversation.message("three" * 100)) as (_, rest):
            model.go_on.set()
            assert [event async for event in rest][-1].type == "run.completed"
        await conversation.rest()
    await look()
    neighbours.agents[agent_id]["tools"] = ["pay"]
    neighbours.tools = [WEATHER | {"name": "pay", "needs_approval": True}]
    model.scripted = [calls(("pay", {"city": "Ulm"})), says("Paid.")]
    lying = (await say(chat, agent_id)).json()
    await look()
    await chat.post(f"{RUNS}/{lying['run_id']}/approvals/call00001", json={"approve": True})
    await until(lambda: _is_completed(chat, lying["run_id"]))
    await look()
    for one in (await chat.get(CONVERSATIONS)).json()["items"]:
        await chat.delete(f"{CONVERSATIONS}/{one['id']}")
    left = [await log_bytes(redis, owner), await redis.hlen(logs_key(owner.tenant_id))]

    assert all(abs(counted - there) <= ABOUT for counted, there in seen), seen
    assert left == [(0, 0), 1]


def accepted(answers: list[httpx.Response]) -> list[str]:
    return [answer.json()["run_id"] for answer in answers if answer.status_code == 200]


async def _is_completed(chat: httpx.AsyncClient, run_id: str) -> bool:
    return bool((await chat.get(f"{RUNS}/{run_id}")).json()["state"] == "completed")


@pytest.mark.parametrize("whose", ["user", "tenant"])
async def test_a_user_at_full_tilt_stays_within_the_bound_and_a_neighbour_goes_on(
    open_chat: OpenChat,
    register_user: RegisterUser,
    agent_id: str,
    model: ModelServer,
    person: User,
    redis: Redis,
    owner: Owner,
    whose: str,
) -> None:
    """Through two replicas at once. What ended long ago then gives way to what begins."""
    limits = {"runs_mib_user": 2, "runs_mib_tenant": 2, f"runs_mib_{whose}": 1}
    model.pieces = ["x" * 60_000]
    neighbour, most = await register_user(), 0
    async with open_chat(**limits) as one, open_chat(**limits) as other:
        one.headers.update(person.headers)
        other.headers.update(person.headers)
        answers = list[httpx.Response]()
        for _ in range(4):
            answers += await asyncio.gather(*[say(chat, agent_id) for chat in (one, other) for _ in range(3)])
            most = max(most, await lies(redis, owner), (await log_bytes(redis, owner))[0])
        beside = await one.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello"}, headers=neighbour.headers)
        await age(redis, owner)
        later = [await say(chat, agent_id) for chat in (one, other)]
        kept = [(await one.get(f"{RUNS}/{run_id}")).status_code for run_id in accepted(answers)]
        counted, there = (await log_bytes(redis, owner))[0], await lies(redis, owner)

    refused = [answer for answer in answers if answer.status_code != 200]
    assert 0 < len(refused) < len(answers)
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(429, "chat.runs_kept_too_much")}
    assert all(whose in answer.json()["detail"] and "Retry-After" in answer.headers for answer in refused)
    assert MIB / 2 < most <= MIB
    assert [answer.status_code for answer in (beside, *later)] == [200, 200, 200]
    assert 404 in kept
    assert counted == there <= MIB


async def test_a_run_that_tells_too_much_fails_and_its_conversation_goes_on(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User
) -> None:
    async with open_chat(run_mib=1, delta_window_ms=0) as chat:
        chat.headers.update(person.headers)
        model.pieces = ['"' * 60_000] * 12  # each is two bytes there
        failed = await say(chat, agent_id)
        model.pieces = ["Short."]
        again = await say(chat, agent_id, conversation_id=failed.json()["conversation_id"])

    assert (failed.status_code, failed.json()["code"]) == (502, "chat.run_too_long")
    assert again.status_code == 200


async def test_an_answer_that_has_no_room_at_the_end_fails_too(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User, redis: Redis, owner: Owner
) -> None:
    """Its pieces had; then it is to be stored once more, whole."""
    async with open_chat(run_mib=1) as chat:
        chat.headers.update(person.headers)
        model.pieces = ["x" * 60_000] * 10
        failed = await say(chat, agent_id)
        counted, there = (await log_bytes(redis, owner))[0], await lies(redis, owner)

    assert (failed.status_code, failed.json()["code"]) == (502, "chat.run_too_long")
    assert counted == there <= MIB


async def _is_counted(redis: Redis, owner: Owner) -> bool:
    return (await log_bytes(redis, owner))[0] == await lies(redis, owner)


async def test_a_run_whose_process_is_killed_is_counted_as_it_lies(
    start_process: StartProcess,
    open_chat: OpenChat,
    agent_id: str,
    model: ModelServer,
    redis: Redis,
    owner: Owner,
) -> None:
    async with open_chat(), start_process(RUN_LEASE_SECONDS="120") as (process, client):
        async with busy(client, agent_id, model) as conversation:
            await until(lambda: _is_counted(redis, owner))
            while_it_ran = await lies(redis, owner)
            process.kill()
            await process.ended()
            await lapse(redis, owner, conversation.id, conversation.first.data["run_id"])
            run: Any = Keys(owner).run(conversation.first.data["run_id"])

            async def is_ended() -> bool:
                return bool(await redis.hget(run, "status") == b"failed")

            await until(is_ended)
            with pytest.raises(httpx.HTTPError):
                await conversation.rest()
        after = (await log_bytes(redis, owner))[0], await lies(redis, owner)

    assert after[0] == after[1] < while_it_ran


async def test_what_has_expired_gives_its_bytes_back(
    chat: httpx.AsyncClient, agent_id: str, redis: Redis, owner: Owner
) -> None:
    """To whoever begins a run in the tenant; and the count of a tenant goes with the last log in it."""
    first = (await say(chat, agent_id)).json()["run_id"]
    name, key = f"{owner.user_id}:{first}", logs_key(owner.tenant_id)
    expires: Any = [await redis.pexpiretime(key), await redis.zscore(f"{key}:until", name)]
    await redis.delete(Keys(owner).run(first), Keys(owner).events(first))
    await redis.zadd(f"{key}:until", {name: 1})
    await say(chat, agent_id)
    counted, there = (await log_bytes(redis, owner))[0], await lies(redis, owner)

    assert expires[0] == expires[1] > 0
    assert counted == there
