"""chat as a process of its own: how it stops, and what others do when it dies."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.storage import Keys
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.http import authorities
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.warm import Program
from tests.fixtures.working_time import working_time
from tests.services.chat.client import OpenChat, ServerEvent, events_of, until
from tests.services.chat.processes import StartProcess
from tests.services.chat.servers import ModelServer

MESSAGE = "/api/v1/chat/message"
FOLLOWERS, FOLLOWERS_MB = 500, 100


def message(agent_id: str) -> dict[str, Any]:
    return {"agent_id": agent_id, "content": "How long is the warranty?", "stream": True}


async def _interrupted(
    start_process: StartProcess, agent_id: str, model: ModelServer, answer_after_signal: bool
) -> list[ServerEvent]:
    """The events of a turn during which the process is told to stop, once it has stopped."""
    model.go_on.clear()
    patience = "100" if answer_after_signal else "2"
    async with start_process(SHUTDOWN_SECONDS=patience) as (process, client):
        async with client.stream("POST", MESSAGE, json=message(agent_id)) as response:
            events = events_of(response)
            seen = [await anext(events)]
            await model.is_generating.wait()
            process.send_signal(signal.SIGTERM)
            if answer_after_signal:
                model.go_on.set()
            seen += [event async for event in events]
        async with asyncio.timeout(PATIENCE_SECONDS):
            await process.ended()
    return seen


async def test_a_turn_is_finished_before_the_process_stops(
    start_process: StartProcess, agent_id: str, model: ModelServer
) -> None:
    events = await _interrupted(start_process, agent_id, model, answer_after_signal=True)

    assert events[-1].type == "run.completed"


async def test_a_turn_that_takes_too_long_is_told_so_before_the_process_stops(
    start_process: StartProcess, agent_id: str, model: ModelServer
) -> None:
    events = await _interrupted(start_process, agent_id, model, answer_after_signal=False)

    assert (events[-1].type, events[-1].data["code"]) == ("run.failed", "chat.interrupted")


async def test_a_turn_whose_process_was_killed_is_ended_by_whoever_follows_it(
    start_process: StartProcess, open_chat: OpenChat, agent_id: str, model: ModelServer
) -> None:
    headers = {"Idempotency-Key": new_id()}
    model.go_on.clear()
    async with (
        start_process(RUN_LEASE_SECONDS="1") as (process, client),
        client.stream("POST", MESSAGE, json=message(agent_id), headers=headers) as response,
    ):
        started = await anext(events_of(response))
        await model.is_generating.wait()
        process.kill()
    person = {"Authorization": client.headers["Authorization"]}

    async with open_chat() as other:
        async with other.stream("POST", MESSAGE, json=message(agent_id), headers=headers | person) as response:
            events = [event async for event in events_of(response)]
        body = message(agent_id) | {"stream": False, "conversation_id": started.data["conversation_id"]}
        model.go_on.set()
        again = await other.post(MESSAGE, json=body, headers=person)

    assert events[0].data == started.data
    assert (events[-1].type, events[-1].data["code"]) == ("run.failed", "chat.interrupted")
    assert again.status_code == 200


async def test_a_killed_answer_is_run_again_within_ten_seconds(
    start_process: StartProcess, open_chat: OpenChat, agent_id: str, model: ModelServer, suite: Suite
) -> None:
    body, headers = message(agent_id) | {"stream": False}, {"Idempotency-Key": new_id()}
    model.go_on.clear()
    async with open_redis(suite.url("redis")) as redis, AsyncExitStack() as since_then:
        async with start_process() as (process, client):
            asking = asyncio.create_task(client.post(MESSAGE, json=body, headers=headers))
            await model.is_generating.wait()
            process.kill()
            took = await since_then.enter_async_context(working_time(redis.ping))
            await asyncio.gather(asking, return_exceptions=True)
        model.go_on.set()
        other = await since_then.enter_async_context(open_chat())
        other.headers["Authorization"] = client.headers["Authorization"]
        answers = []

        async def is_answered() -> bool:
            answers.append(await other.post(MESSAGE, json=body, headers=headers))
            return answers[-1].status_code == 200

        await until(is_answered)
        seconds = took.seconds

    assert {answer.json()["code"] for answer in answers[:-1]} <= {"chat.interrupted"}
    assert seconds < 10
    assert len(model.asked) == 2


async def test_a_run_whose_process_was_killed_fails_within_fifteen_seconds_though_nobody_asks(
    start_process: StartProcess, open_chat: OpenChat, agent_id: str, model: ModelServer, suite: Suite, person: User
) -> None:
    model.go_on.clear()
    async with (
        open_chat(),
        open_chat(),
        open_redis(suite.url("redis")) as redis,
        start_process() as (process, client),
        client.stream("POST", MESSAGE, json=message(agent_id)) as response,
    ):
        run_id = (await anext(events_of(response))).data["run_id"]
        keys = Keys(Owner(person.tenant_id, person.user_id))
        await model.is_generating.wait()
        process.kill()

        async def is_failed() -> bool:
            return await redis.hget(keys.run(run_id), "status") == b"failed"

        async with working_time(redis.ping) as took:
            await until(is_failed)
        entries: Any = await redis.xrange(keys.events(run_id))

    types = [fields[b"e"] for _, fields in entries]
    assert took.seconds < 15
    assert types.count(b"run.failed") == 1
    assert types[-1] == b"run.failed"


async def test_what_a_killed_process_had_used_is_counted_once(
    start_process: StartProcess, open_chat: OpenChat, agent_id: str, model: ModelServer, suite: Suite, person: User
) -> None:
    """As far as it had noted it: the prompt, and what was said until then."""
    model.go_on.clear()
    async with (
        open_redis(suite.url("redis")) as redis,
        start_process(RUN_LEASE_SECONDS="1") as (process, client),
        client.stream("POST", MESSAGE, json=message(agent_id)) as response,
    ):
        run_id = (await anext(events_of(response))).data["run_id"]
        run = Keys(Owner(person.tenant_id, person.user_id)).run(run_id)
        await until(lambda: redis.hexists(run, "used"))
        process.kill()
    async with open_chat() as one, open_chat() as other:
        one.headers.update(person.headers)

        async def is_failed() -> bool:
            return await redis.hget(run, "status") == b"failed"

        async with open_redis(suite.url("redis")) as redis:
            await until(is_failed)
        for client in (one, other):
            await client.get(f"/api/v1/chat/runs/{run_id}", headers=person.headers)
        (row,) = (await one.get("/api/v1/chat/usage")).json()["rows"]

    assert (row["runs"], row["failed_runs"]) == (1, 1)
    assert row["prompt_tokens"] > 10
    assert 0 < row["completion_tokens"] < 10


async def test_followers_elsewhere_hear_within_fifteen_seconds_that_the_process_was_killed(
    start_process: StartProcess, open_chat: OpenChat, agent_id: str, model: ModelServer, suite: Suite
) -> None:
    model.go_on.clear()
    async with (
        open_redis(suite.url("redis")) as redis,
        start_process() as (process, client),
        open_chat() as other,
    ):
        other.headers["Authorization"] = client.headers["Authorization"]
        async with client.stream("POST", MESSAGE, json=message(agent_id)) as response:
            started = await anext(events_of(response))
            await model.is_generating.wait()
            address = f"/api/v1/chat/runs/{started.data['run_id']}"
            async with other.stream("GET", f"{address}/events") as stream:
                events = events_of(stream)
                seen = [await anext(events)]
                process.kill()
                async with working_time(redis.ping) as took:
                    seen += [event async for event in events]
        run = (await other.get(address)).json()
        body = message(agent_id) | {"stream": False, "conversation_id": started.data["conversation_id"]}
        model.go_on.set()
        again = await other.post(MESSAGE, json=body)

    assert seen[0].data == started.data
    assert (seen[-1].type, seen[-1].data["code"]) == ("run.failed", "chat.interrupted")
    assert seen[-1].data["retry_after_seconds"] > 0
    assert took.seconds < 15
    assert run["state"] == "failed"
    assert run["error"].items() <= seen[-1].data.items()
    assert again.status_code == 200


async def test_a_process_that_stops_lets_followers_of_other_replicas_go_on_elsewhere(
    start_process: StartProcess, open_chat: OpenChat, agent_id: str, model: ModelServer
) -> None:
    model.go_on.clear()
    async with start_process(SHUTDOWN_SECONDS="5") as (process, client), open_chat() as other:
        other.headers["Authorization"] = client.headers["Authorization"]
        async with other.stream("POST", MESSAGE, json=message(agent_id)) as response:
            started = await anext(events_of(response))
            await model.is_generating.wait()
            address = f"/api/v1/chat/runs/{started.data['run_id']}/events"
            async with client.stream("GET", address) as stream:
                events = events_of(stream)
                seen = [await anext(events)]
                while seen[-1].type != "message.delta":
                    seen.append(await anext(events))
                process.send_signal(signal.SIGTERM)
                seen += [event async for event in events]
            async with asyncio.timeout(PATIENCE_SECONDS):
                await process.ended()
            assert seen[-1].type == "message.delta"
            model.go_on.set()
            async with other.stream("GET", address, headers={"Last-Event-ID": str(seen[-1].id)}) as stream:
                seen += [event async for event in events_of(stream)]
        async with other.stream("GET", address) as stream:
            whole = [event async for event in events_of(stream)]

    assert seen == whole
    assert whole[-1].type == "run.completed"


def _resident_mb(process: Program) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


async def test_five_hundred_who_wait_cost_a_hundred_megabytes_at_most(
    start_process: StartProcess, open_chat: OpenChat, agent_id: str, model: ModelServer
) -> None:
    """And all of them hear the end, over the few connections to Redis that there are."""
    model.go_on.clear()
    async with (
        start_process(MAX_STREAMS="4096") as (process, client),
        open_chat(llm_between_tokens_seconds=100) as other,
        AsyncExitStack() as stack,
    ):
        other.headers["Authorization"] = client.headers["Authorization"]
        async with other.stream("POST", MESSAGE, json=message(agent_id)) as response:
            run_id = (await anext(events_of(response))).data["run_id"]
        await model.is_generating.wait()
        many = httpx.AsyncClient(
            base_url=client.base_url,
            headers=client.headers,
            timeout=60,
            limits=httpx.Limits(max_connections=None),
            verify=authorities(),
        )
        await stack.enter_async_context(many)
        before = _resident_mb(process)
        following = []
        for _ in range(FOLLOWERS):
            stream = await stack.enter_async_context(many.stream("GET", f"/api/v1/chat/runs/{run_id}/events"))
            assert stream.status_code == 200, await stream.aread()
            following.append(events_of(stream))
        for events in following:
            await anext(events)
        taken = _resident_mb(process) - before
        model.go_on.set()
        lasts = [[event async for event in events][-1].type for events in following]

    print(f"{FOLLOWERS} idle streams: {taken:.1f} MB")  # noqa: T201
    assert lasts == ["run.completed"] * FOLLOWERS
    assert taken <= FOLLOWERS_MB
