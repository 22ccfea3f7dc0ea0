"""A run that is cancelled, through any replica."""

import asyncio

import httpx
import pytest

from local.suite import Suite
from services.chat.bounds import Bounds
from services.chat.domain import Owner
from services.chat.runs.repository import RunRepository
from services.chat.storage import Keys
from shared.redis import open_redis
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.chat.client import OpenChat, events_of, until
from tests.services.chat.servers import ModelServer

MESSAGE = "/api/v1/chat/message"
RUNS = "/api/v1/chat/runs"


@pytest.fixture
def body(agent_id: str) -> dict[str, object]:
    return {"agent_id": agent_id, "content": "How long is the warranty?", "stream": True}


async def roles_of(client: httpx.AsyncClient, conversation_id: str) -> list[str]:
    page = await client.get(f"/api/v1/chat/conversations/{conversation_id}/messages")
    return [message["role"] for message in page.json()["items"]]


@pytest.mark.parametrize("where", ["here", "elsewhere"])
async def test_cancelling_ends_the_run_everywhere_and_stops_the_model(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User, where: str
) -> None:
    """Within a few seconds: it is told to stop, and has not to find out when it renews its lease, after forty."""
    model.go_on.clear()
    async with open_chat(run_lease_seconds=120) as one, open_chat(run_lease_seconds=120) as other:
        one.headers.update(person.headers)
        other.headers.update(person.headers)
        asked = one if where == "here" else other
        async with one.stream("POST", MESSAGE, json=body) as response:
            told = events_of(response)
            seen = [await anext(told)]
            run_id, conversation_id = seen[0].data["run_id"], seen[0].data["conversation_id"]
            await model.is_generating.wait()
            cancelled = await asked.post(f"{RUNS}/{run_id}/cancel")
            async with asyncio.timeout(PATIENCE_SECONDS):
                seen += [event async for event in told]
                await model.was_left.wait()
        async with other.stream("GET", f"{RUNS}/{run_id}/events") as response:
            stored = [event async for event in events_of(response)]
        again = await other.post(f"{RUNS}/{run_id}/cancel")
        kept = await roles_of(other, conversation_id)
        model.go_on.set()
        following = await other.post(MESSAGE, json=body | {"conversation_id": conversation_id, "stream": False})

    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert again.json() == cancelled.json()
    assert (seen[-1].type, seen[-1].data) == (
        "run.cancelled",
        {"run_id": run_id, "conversation_id": conversation_id},
    )
    assert seen == stored
    assert kept == ["user"]
    assert following.status_code == 200


async def test_whoever_waits_for_the_answer_is_told(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User
) -> None:
    model.go_on.clear()
    whole = body | {"stream": False}
    headers = person.headers | {"Idempotency-Key": "a-key-of-this-test"}
    async with open_chat() as one, open_chat() as other:
        one.headers.update(headers)
        other.headers.update(headers)
        waiting = asyncio.create_task(one.post(MESSAGE, json=whole))
        await model.is_generating.wait()
        repeated = asyncio.create_task(other.post(MESSAGE, json=whole))
        [conversation] = (await other.get("/api/v1/chat/conversations")).json()["items"]
        page = await other.get(f"/api/v1/chat/conversations/{conversation['id']}/messages")
        await other.post(f"{RUNS}/{page.json()['items'][0]['run_id']}/cancel")
        answers = [await waiting, await repeated, await other.post(MESSAGE, json=whole)]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(409, "chat.run_cancelled")}
    assert len(model.asked) == 1


@pytest.mark.parametrize("breaks_after", [None, 1])
async def test_what_has_ended_cannot_be_cancelled(
    chat: httpx.AsyncClient, body: dict[str, object], model: ModelServer, breaks_after: int | None
) -> None:
    model.breaks_after = breaks_after
    run_id = (await chat.post(MESSAGE, json=body | {"stream": False})).json()["run_id"]

    answer = await chat.post(f"{RUNS}/{run_id}/cancel")

    assert (answer.status_code, answer.json()["code"]) == (409, "chat.run_ended")


async def test_a_message_may_interrupt_the_one_before(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User
) -> None:
    model.go_on.clear()
    async with open_chat() as one, open_chat() as other:
        one.headers.update(person.headers)
        other.headers.update(person.headers)
        async with one.stream("POST", MESSAGE, json=body) as response:
            told = events_of(response)
            started = await anext(told)
            await model.is_generating.wait()
            next_one = body | {"conversation_id": started.data["conversation_id"], "stream": False}
            refused = await other.post(MESSAGE, json=next_one)
            model.go_on = asyncio.Event()
            model.go_on.set()
            answered = await other.post(MESSAGE, json=next_one | {"on_busy": "interrupt"})
            rest = [event async for event in told]
        kept = await roles_of(other, started.data["conversation_id"])

    assert (refused.status_code, refused.json()["code"]) == (409, "chat.run_active")
    assert answered.status_code == 200
    assert rest[-1].type == "run.cancelled"
    assert kept == ["user", "user", "assistant"]


async def test_a_message_that_has_no_place_interrupts_nothing(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User
) -> None:
    model.go_on.clear()
    async with open_chat(max_messages=2) as client:
        client.headers.update(person.headers)
        async with client.stream("POST", MESSAGE, json=body) as response:
            told = events_of(response)
            started = await anext(told)
            await model.is_generating.wait()
            next_one = body | {"conversation_id": started.data["conversation_id"], "on_busy": "interrupt"}
            refused = await client.post(MESSAGE, json=next_one)
            model.go_on.set()
            rest = [event async for event in told]

    assert (refused.status_code, refused.json()["code"]) == (409, "chat.conversation_full")
    assert rest[-1].type == "run.completed"


async def test_two_who_interrupt_at_once_leave_one_answer(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User
) -> None:
    async with open_chat() as one, open_chat() as other:
        one.headers.update(person.headers)
        other.headers.update(person.headers)
        whole = body | {"stream": False}
        conversation_id = (await one.post(MESSAGE, json=whole)).json()["conversation_id"]
        model.go_on.clear()
        next_one = whole | {"conversation_id": conversation_id, "on_busy": "interrupt"}
        asking = [asyncio.create_task(client.post(MESSAGE, json=next_one)) for client in (one, other)]
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        model.go_on.set()
        answers = sorted([(await one_).status_code for one_ in asking])
        kept = await roles_of(one, conversation_id)

    assert answers == [200, 409]
    assert kept == ["user", "assistant", "user", "user", "assistant"]


async def test_an_unknown_way_to_be_busy_is_refused(chat: httpx.AsyncClient, body: dict[str, object]) -> None:
    answer = await chat.post(MESSAGE, json=body | {"on_busy": "rollback"})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/on_busy"


async def test_a_cancel_that_nobody_tells_of_is_found_with_the_next_event(
    chat: httpx.AsyncClient, body: dict[str, object], model: ModelServer, person: User, suite: Suite
) -> None:
    """As when the replica that was asked died in between."""
    model.go_on.clear()
    bounds = Bounds(retention_ms=0, lease_ms=0, kept_seconds=0, max_messages=0, max_conversations=0)
    async with open_redis(suite.url("redis")) as redis, chat.stream("POST", MESSAGE, json=body) as response:
        told = events_of(response)
        seen = [await anext(told) for _ in range(3)]
        run_id, conversation_id = seen[0].data["run_id"], seen[0].data["conversation_id"]
        owner = Owner(person.tenant_id, person.user_id)
        repository = RunRepository(redis, bounds, "")
        first = await repository.cancel(owner, run_id, conversation_id)
        again = await repository.cancel(owner, run_id, conversation_id)
        model.go_on.set()
        seen += [event async for event in told]

    assert (first[0], again) == ("cancelled", ("cancelled", ""))
    assert first[1].startswith("chat:inbox:")
    assert [event.id for event in seen] == [1, 2, 3, 4]
    assert seen[-1].type == "run.cancelled"


async def test_whoever_waits_for_a_run_that_was_given_up_is_told_that_it_was_interrupted(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User, suite: Suite
) -> None:
    """As after a pause of the process: its lease ran out, and a follower elsewhere has ended the run."""
    model.go_on.clear()
    owner = Owner(person.tenant_id, person.user_id)
    async with (
        open_chat(run_lease_seconds=120) as one,
        open_chat() as other,
        open_redis(suite.url("redis")) as redis,
    ):
        one.headers.update(person.headers)
        other.headers.update(person.headers)
        waiting = asyncio.create_task(one.post(MESSAGE, json=body | {"stream": False}))
        await model.is_generating.wait()
        [conversation] = (await other.get("/api/v1/chat/conversations")).json()["items"]
        page = await other.get(f"/api/v1/chat/conversations/{conversation['id']}/messages")
        run_id = page.json()["items"][0]["run_id"]
        await redis.delete(Keys(owner).lease(conversation["id"]))
        here = (await one.get(f"{RUNS}/{run_id}")).json()

        async def has_failed_elsewhere() -> bool:
            return bool((await other.get(f"{RUNS}/{run_id}")).json()["state"] == "failed")

        await until(has_failed_elsewhere)
        model.go_on.set()
        answer = await waiting

    assert here["state"] == "running"
    assert (answer.status_code, answer.json()["code"]) == (503, "chat.interrupted")
    assert answer.json()["run_id"] == run_id
