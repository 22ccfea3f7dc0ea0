"""Whoever leaves a completion ends it; a process that dies leaves nobody waiting."""

import asyncio
from typing import Any

import httpx
import orjson
import pytest
from redis.asyncio import Redis

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.runs.stored import StoredRun
from services.chat.storage import Keys
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.chat.client import OpenChat, until
from tests.services.chat.completing import COMPLETIONS, RUNS, asking, chunks_of
from tests.services.chat.lapsing import lapse
from tests.services.chat.processes import StartProcess
from tests.services.chat.servers import ModelServer


async def events_key(redis: Redis, person: User) -> str:
    """Of the only run."""
    [key] = {key async for key in redis.scan_iter(Keys(Owner(person.tenant_id, person.user_id)).events("*"))}
    return str(key.decode())


async def state_of(chat: httpx.AsyncClient, run_id: str) -> str:
    return str((await chat.get(f"{RUNS}/{run_id}")).json()["state"])


async def test_a_client_that_leaves_its_stream_ends_the_generation(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.go_on.clear()
    async with chat.stream("POST", COMPLETIONS, json=asking(stream=True)) as response:
        line = await anext(response.aiter_lines())
    run_id = line.split("chatcmpl-")[1].split('"')[0]

    async with asyncio.timeout(PATIENCE_SECONDS):
        await model.was_left.wait()

    async def is_cancelled() -> bool:
        return await state_of(chat, run_id) == "cancelled"

    await until(is_cancelled)


async def test_a_client_that_leaves_before_the_answer_ends_the_generation(
    chat: httpx.AsyncClient, model: ModelServer
) -> None:
    model.go_on.clear()
    asked = asyncio.create_task(chat.post(COMPLETIONS, json=asking()))
    await model.is_generating.wait()

    asked.cancel()

    async with asyncio.timeout(PATIENCE_SECONDS):
        await model.was_left.wait()

    async def is_counted() -> bool:
        rows = (await chat.get("/api/v1/chat/usage")).json()["rows"]
        return [row["cancelled_runs"] for row in rows] == [1]

    await until(is_counted)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_with_a_key_comes_again(chat: httpx.AsyncClient, model: ModelServer, stream: bool) -> None:
    model.go_on.clear()
    request: dict[str, Any] = {"json": asking(stream=stream), "headers": {"Idempotency-Key": new_id()}}
    asked = asyncio.create_task(chat.post(COMPLETIONS, **request))
    await model.is_generating.wait()
    asked.cancel()
    await asyncio.wait([asked])
    model.go_on.set()

    again = await chat.post(COMPLETIONS, **request)

    assert again.status_code == 200
    assert len(model.asked) == 1


async def test_a_run_that_somebody_cancels_ends_its_stream_with_an_error(
    open_chat: OpenChat, person: User, model: ModelServer
) -> None:
    model.go_on.clear()
    async with open_chat() as chat, open_chat() as other:
        for one in (chat, other):
            one.headers.update(person.headers)
        async with chat.stream("POST", COMPLETIONS, json=asking(stream=True)) as response:
            lines = response.aiter_lines()
            run_id = (await anext(lines)).split("chatcmpl-")[1].split('"')[0]
            await other.post(f"{RUNS}/{run_id}/cancel")
            rest = [line async for line in lines]

    assert "chat.run_cancelled" in rest[-2]


async def test_what_somebody_cancels_is_not_to_be_tried_again(
    chat: httpx.AsyncClient, model: ModelServer, suite: Suite, person: User
) -> None:
    model.go_on.clear()
    asked = asyncio.create_task(chat.post(COMPLETIONS, json=asking()))
    await model.is_generating.wait()
    async with open_redis(suite.url("redis")) as redis:
        written: Any = await redis.xrange(await events_key(redis, person), count=1)
    [(_, event)] = written
    run_id = orjson.loads(event[b"d"])["run_id"]
    await chat.post(f"{RUNS}/{run_id}/cancel")

    answer = await asked

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "chat.run_cancelled")
    assert answer.headers["x-should-retry"] == "false"


async def test_a_run_whose_process_dies_has_failed_for_whoever_asks_again(
    start_process: StartProcess,
    open_chat: OpenChat,
    person: User,
    model: ModelServer,
    suite: Suite,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever asks while it is held still is told so when it is missed."""
    is_followed, wait = asyncio.Event(), StoredRun._wait

    async def waiting(run: StoredRun, *given: Any) -> None:
        is_followed.set()
        await wait(run, *given)

    monkeypatch.setattr(StoredRun, "_wait", waiting)
    model.go_on.clear()
    key = {"Idempotency-Key": new_id()}
    async with open_redis(suite.url("redis")) as redis, open_chat() as other:
        other.headers.update(person.headers)
        async with start_process(RUN_LEASE_SECONDS="120") as (process, client):
            asked = asyncio.create_task(client.post(COMPLETIONS, json=asking(), headers=key))
            await model.is_generating.wait()
            written: Any = await redis.xrange(await events_key(redis, person), count=1)
            process.kill()
            with pytest.raises(httpx.TransportError):
                await asked
        model.go_on.set()
        begun = orjson.loads(written[0][1][b"d"])
        again = asyncio.create_task(other.post(COMPLETIONS, json=asking(), headers=key))
        await is_followed.wait()
        await lapse(redis, Owner(person.tenant_id, person.user_id), begun["conversation_id"], begun["run_id"])
        told = [await again, await other.post(COMPLETIONS, json=asking(), headers=key)]

    # The first run has failed, and the next repetition began another.
    assert [answer.status_code for answer in told] == [503, 200]
    assert len(model.asked) == 2


async def test_two_hundred_chunks_arrive_in_order(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.pieces = [f"{number} " for number in range(200)]

    async with chat.stream("POST", COMPLETIONS, json=asking(stream=True)) as response:
        chunks = await chunks_of(response)

    said = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1]]
    assert "".join(said) == "".join(model.pieces)
