"""What waits for its turn when a process dies, or stops, and when Redis restarts."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.storage import RUNNING, Keys, running_member
from shared.redis import open_redis
from tests.fixtures.identity import User
from tests.fixtures.patience import patient_connections
from tests.fixtures.working_time import working_time
from tests.services.chat.client import OpenChat, ServerEvent, events_of, until
from tests.services.chat.processes import StartProcess
from tests.services.chat.queueing import busy, waiting
from tests.services.chat.servers import ModelServer

MESSAGE = "/api/v1/chat/message"
RUNS = "/api/v1/chat/runs"
_ANSWERED_SECONDS = 5.0  # within which a Redis that stands still is missed, as usual


async def _followed(client: httpx.AsyncClient, run_id: str) -> list[ServerEvent]:
    async with client.stream("GET", f"{RUNS}/{run_id}/events") as response:
        return [event async for event in events_of(response)]


async def _said(events: AsyncIterator[ServerEvent]) -> list[ServerEvent]:
    return [event async for event in events]


@pytest.mark.parametrize("ends", ["killed", "stopped"])
async def test_what_a_process_took_in_fails_with_it_and_what_others_took_in_goes_on(
    start_process: StartProcess,
    open_chat: OpenChat,
    agent_id: str,
    model: ModelServer,
    person: User,
    suite: Suite,
    ends: str,
) -> None:
    """Within fifteen seconds after a kill. Two of the process wait, one before and one behind one of another."""
    model.go_on.clear()
    body: dict[str, Any] = {"agent_id": agent_id, "content": "one", "stream": True, "on_busy": "enqueue"}
    async with (
        open_redis(suite.url("redis")) as redis,
        open_chat() as other,
        start_process(SHUTDOWN_SECONDS="1") as (process, client),
    ):
        other.headers.update(person.headers)
        async with other.stream("POST", MESSAGE, json=body) as response:
            first = events_of(response)
            body["conversation_id"] = (await anext(first)).data["conversation_id"]
            await model.is_generating.wait()
            async with (
                client.stream("POST", MESSAGE, json=body | {"content": "two"}) as of_two,
                other.stream("POST", MESSAGE, json=body | {"content": "three"}) as of_three,
            ):
                two, three = (await anext(events_of(of_two))), events_of(of_three)
                queued = [two, await anext(three)]
                async with client.stream("POST", MESSAGE, json=body | {"content": "four"}) as of_four:
                    queued.append(await anext(events_of(of_four)))
                if ends == "killed":
                    process.kill()
                else:
                    process.send_signal(signal.SIGTERM)
                async with working_time(redis.ping) as took:
                    left = [await _followed(other, queued[at].data["run_id"]) for at in (0, 2)]
                model.go_on.set()
                answered = [await _said(first), await _said(three)]
        page = await other.get(f"/api/v1/chat/conversations/{body['conversation_id']}/messages")

    assert [event.data["position"] for event in queued] == [1, 2, 3]
    for events in left:
        assert [event.type for event in events] == ["run.queued", "run.failed"]
        assert (events[-1].data["code"], events[-1].data["retry_after_seconds"]) == ("chat.interrupted", 1)
    assert took.seconds < 15
    assert [events[-1].type for events in answered] == ["run.completed"] * 2
    assert [one["content"] for one in page.json()["items"] if one["role"] == "user"] == ["one", "three"]


async def test_the_next_begins_when_the_process_of_the_one_before_was_killed(
    start_process: StartProcess, open_chat: OpenChat, agent_id: str, model: ModelServer, person: User
) -> None:
    model.go_on.clear()
    body: dict[str, Any] = {"agent_id": agent_id, "content": "one", "stream": True, "on_busy": "enqueue"}
    async with open_chat() as other, start_process() as (process, client):
        other.headers.update(person.headers)
        async with client.stream("POST", MESSAGE, json=body) as response:
            first = await anext(events_of(response))
            await model.is_generating.wait()
            body["conversation_id"] = first.data["conversation_id"]
            async with other.stream("POST", MESSAGE, json=body) as waiting:
                told = events_of(waiting)
                queued = await anext(told)
                process.kill()
                model.go_on.set()
                rest = await _said(told)
        run = (await other.get(f"{RUNS}/{first.data['run_id']}")).json()

    assert queued.type == "run.queued"
    assert [rest[0].type, rest[-1].type] == ["run.started", "run.completed"]
    assert (run["state"], run["error"]["code"]) == ("failed", "chat.interrupted")


@pytest.mark.parametrize("how", ["restarts", "stands still"])
async def test_what_waits_goes_on_after_redis_was_away(
    open_chat: OpenChat,
    agent_id: str,
    model: ModelServer,
    person: User,
    suite: Suite,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """And so does what is being answered, for longer than it is held: nothing is lost, and nothing answered twice."""
    patient_connections(monkeypatch, _ANSWERED_SECONDS)
    model.go_on.clear()
    body: dict[str, Any] = {"agent_id": agent_id, "content": "one", "stream": True, "on_busy": "enqueue"}
    async with (
        open_chat(run_lease_seconds=1) as one,
        open_chat(run_lease_seconds=1) as other,
        AsyncExitStack() as stack,
    ):
        one.headers.update(person.headers)
        other.headers.update(person.headers)
        told = [events_of(await stack.enter_async_context(one.stream("POST", MESSAGE, json=body)))]
        body["conversation_id"] = (await anext(told[0])).data["conversation_id"]
        await model.is_generating.wait()
        for client, content in ((other, "two"), (one, "three")):
            asking = client.stream("POST", MESSAGE, json=body | {"content": content})
            told.append(events_of(await stack.enter_async_context(asking)))
            assert (await anext(told[-1])).type == "run.queued"
        if how == "restarts":
            await asyncio.to_thread(suite.kill, "redis")
        else:
            await asyncio.to_thread(suite.freeze, "redis")
        try:
            away = await one.get("/api/v1/chat/conversations")
        finally:
            if how == "restarts":
                await asyncio.to_thread(suite.up, ["redis"])
            else:
                await asyncio.to_thread(suite.thaw, "redis")

        async def is_back() -> bool:
            return (await one.get("/api/v1/chat/conversations")).is_success

        await until(is_back)
        model.go_on.set()
        rest = [await _said(events) for events in told]
        page = await other.get(f"/api/v1/chat/conversations/{body['conversation_id']}/messages")

    assert away.status_code == 503
    assert [events[-1].type for events in rest] == ["run.completed"] * 3
    assert [message["content"] for message in page.json()["items"] if message["role"] == "user"] == [
        "one",
        "two",
        "three",
    ]
    assert len(model.asked) == 3


async def test_a_run_that_waited_and_whose_process_is_killed_once_it_has_begun_fails_though_nobody_asks(
    start_process: StartProcess, open_chat: OpenChat, agent_id: str, model: ModelServer, suite: Suite, person: User
) -> None:
    owner = Owner(person.tenant_id, person.user_id)
    async with (
        open_chat() as other,
        open_redis(suite.url("redis")) as redis,
        start_process() as (process, client),
    ):
        other.headers.update(person.headers)
        async with busy(other, agent_id, model) as conversation:
            async with waiting(client, conversation.message("two")) as (two, rest):
                await redis.zrem(RUNNING, running_member(owner, conversation.id, two.data["run_id"]))  # as sweepers do
                model.is_silent = True  # from the next answer on
                model.is_generating.clear()
                model.go_on.set()
                started = await anext(rest)
                await model.is_generating.wait()
                process.kill()

            async def is_failed() -> bool:
                return await redis.hget(Keys(owner).run(two.data["run_id"]), "status") == b"failed"

            await until(is_failed)
            first = (await conversation.rest())[-1]

    assert (first.type, started.type) == ("run.completed", "run.started")
