"""A run, looked at and followed through any replica, for as long as it is kept."""

import asyncio

import httpx
import pytest

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.runs.stored import StoredRun
from services.chat.storage import Keys
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.chat.client import OpenChat, ServerEvent, events_of, until
from tests.services.chat.servers import ModelServer

MESSAGE = "/api/v1/chat/message"
RUNS = "/api/v1/chat/runs"


@pytest.fixture
def body(agent_id: str) -> dict[str, object]:
    return {"agent_id": agent_id, "content": "How long is the warranty?", "stream": True}


async def follow(client: httpx.AsyncClient, run_id: str, after: int | None = None) -> list[ServerEvent]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    async with client.stream("GET", f"{RUNS}/{run_id}/events", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        return [event async for event in events_of(response)]


async def test_a_run_says_how_it_ended(
    chat: httpx.AsyncClient, agent_id: str, body: dict[str, object], model: ModelServer
) -> None:
    answer = (await chat.post(MESSAGE, json=body | {"stream": False})).json()

    found = await chat.get(f"{RUNS}/{answer['run_id']}")

    run = found.json()
    assert found.headers["etag"].startswith('"completed:')
    assert {name: run[name] for name in ("id", "conversation_id", "agent_id", "state", "model", "usage", "error")} == {
        "id": answer["run_id"],
        "conversation_id": answer["conversation_id"],
        "agent_id": agent_id,
        "state": "completed",
        "model": answer["model"],
        "usage": answer["usage"],
        "error": None,
    }
    assert run["created_at"] <= run["finished_at"]


async def test_a_run_that_failed_says_why(chat: httpx.AsyncClient, body: dict[str, object], model: ModelServer) -> None:
    model.breaks_after = 1
    problem = (await chat.post(MESSAGE, json=body | {"stream": False})).json()

    run = (await chat.get(f"{RUNS}/{problem['run_id']}")).json()

    assert (run["state"], run["usage"]) == ("failed", None)
    assert run["error"]["code"] == "chat.model_unavailable"
    assert run["error"]["retry_after_seconds"] > 0


async def test_a_run_goes_on_until_it_ends(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User
) -> None:
    model.go_on.clear()
    async with open_chat() as one, open_chat() as other:
        other.headers.update(person.headers)
        async with one.stream("POST", MESSAGE, json=body, headers=person.headers) as response:
            run_id = (await anext(events_of(response))).data["run_id"]
        run = (await other.get(f"{RUNS}/{run_id}")).json()
        model.go_on.set()
        events = await follow(other, run_id)
        ended = (await other.get(f"{RUNS}/{run_id}")).json()

    assert (run["state"], run["finished_at"], ended["state"]) == ("running", None, "completed")
    assert events[-1].type == "run.completed"


async def test_a_stream_cut_at_every_event_goes_on_elsewhere(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User
) -> None:
    model.pieces = [f"{number} " for number in range(6)]
    async with open_chat(delta_window_ms=0) as one, open_chat() as other:
        one.headers.update(person.headers)
        other.headers.update(person.headers)
        async with one.stream("POST", MESSAGE, json=body) as response:
            whole = [event async for event in events_of(response)]
        run_id = whole[0].data["run_id"]
        rest = {event.id: await follow(other, run_id, event.id) for event in whole[:-1]}
        nothing = await other.get(f"{RUNS}/{run_id}/events", headers={"Last-Event-ID": str(whole[-1].id)})

    assert len(whole) > 4
    assert rest == {event.id: whole[event.id :] for event in whole[:-1]}
    assert (nothing.status_code, nothing.content) == (204, b"")


async def test_a_stream_cut_while_the_model_writes_goes_on_elsewhere(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User
) -> None:
    """One event is read of each of the two in turn, and the connection cut after it."""
    model.go_on.clear()
    seen: list[ServerEvent] = []
    async with open_chat() as one, open_chat() as other:
        one.headers.update(person.headers)
        other.headers.update(person.headers)
        async with one.stream("POST", MESSAGE, json=body) as response:
            seen.append(await anext(events_of(response)))
        run_id = seen[0].data["run_id"]
        await model.is_generating.wait()
        while seen[-1].type != "run.completed":
            headers = {"Last-Event-ID": str(seen[-1].id)}
            client = (one, other)[len(seen) % 2]
            async with client.stream("GET", f"{RUNS}/{run_id}/events", headers=headers) as response:
                seen.append(await anext(events_of(response)))
            if len(seen) == 3:  # `message.delta` is here, and the model waits
                model.go_on.set()
        whole = await follow(other, run_id)

    assert seen == whole


async def test_many_follow_many_runs_over_one_connection(
    open_chat: OpenChat,
    body: dict[str, object],
    model: ModelServer,
    person: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All wait before the model goes on, and nobody looks by himself before the client has given up."""
    monkeypatch.setattr(StoredRun.__init__, "__kwdefaults__", {"seen": 0, "check_seconds": 300.0})
    model.go_on.clear()
    async with open_chat(max_runs=32) as one, open_chat(max_streams=400, heartbeat_seconds=60) as other:
        one.headers.update(person.headers)
        other.headers.update(person.headers)
        asking = [asyncio.create_task(one.post(MESSAGE, json=body)) for _ in range(8)]
        await until(lambda: _has_asked(model, 8))
        listed = (await other.get("/api/v1/chat/conversations")).json()["items"]
        messages = [(await other.get(f"/api/v1/chat/conversations/{one_['id']}/messages")).json() for one_ in listed]
        runs = [page["items"][0]["run_id"] for page in messages]
        begun: list[ServerEvent] = []

        async def hear(run_id: str) -> list[ServerEvent]:
            while True:
                async with other.stream("GET", f"{RUNS}/{run_id}/events") as response:
                    if response.status_code == 503:  # eighty at once, on a busy machine: who is told so comes again
                        continue
                    events = events_of(response)
                    first = await anext(events)
                    begun.append(first)
                    return [first] + [event async for event in events]

        async def all_have_begun() -> bool:
            return len(begun) == 80

        following = [asyncio.create_task(hear(run_id)) for run_id in runs for _ in range(10)]
        await until(all_have_begun)
        model.go_on.set()
        told = await asyncio.gather(*following)
        await asyncio.gather(*asking)

    assert len(runs) == 8
    assert all(events[-1].type == "run.completed" for events in told)
    assert all([event.id for event in events] == list(range(1, len(events) + 1)) for events in told)


async def _has_asked(model: ModelServer, number: int) -> bool:
    return len(model.asked) >= number


async def test_a_share_of_the_streams_is_a_users(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User
) -> None:
    model.go_on.clear()
    async with open_chat(max_streams=4) as client:
        client.headers.update(person.headers)
        async with client.stream("POST", MESSAGE, json=body) as response:
            run_id = (await anext(events_of(response))).data["run_id"]
            async with client.stream("GET", f"{RUNS}/{run_id}/events") as first:
                following = events_of(first)  # kept: when it is let go, so is the stream
                await anext(following)
                refused = await client.get(f"{RUNS}/{run_id}/events")
            model.go_on.set()

        async def has_room() -> bool:
            return (await client.get(f"{RUNS}/{run_id}/events")).status_code == 200

        await until(has_room)

    assert (refused.status_code, refused.json()["code"]) == (429, "common.share_taken")


@pytest.mark.parametrize("sent", ["", "-1", "1.5", "x", "1_0", "9" * 10])
async def test_an_id_of_no_event_is_refused(chat: httpx.AsyncClient, body: dict[str, object], sent: str) -> None:
    run_id = (await chat.post(MESSAGE, json=body | {"stream": False})).json()["run_id"]

    answer = await chat.get(f"{RUNS}/{run_id}/events", headers={"Last-Event-ID": sent})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "header/Last-Event-ID"


async def test_an_event_that_was_never_told_is_refused(chat: httpx.AsyncClient, body: dict[str, object]) -> None:
    run_id = (await chat.post(MESSAGE, json=body | {"stream": False})).json()["run_id"]

    answer = await chat.get(f"{RUNS}/{run_id}/events", headers={"Last-Event-ID": "999"})

    assert (answer.status_code, answer.json()["code"]) == (422, "chat.event_unknown")


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/events"), ("POST", "/cancel")])
async def test_a_run_is_its_owners(
    open_chat: OpenChat,
    body: dict[str, object],
    model: ModelServer,
    person: User,
    register_user: RegisterUser,
    method: str,
    path: str,
) -> None:
    """Also while it is executed by the very process that is asked."""
    stranger = await register_user()
    model.go_on.clear()
    async with open_chat() as client, client.stream("POST", MESSAGE, json=body, headers=person.headers) as response:
        run_id = (await anext(events_of(response))).data["run_id"]
        theirs = await client.request(method, f"{RUNS}/{run_id}{path}", headers=stranger.headers)
        missing = await client.request(method, f"{RUNS}/{new_id()}{path}", headers=stranger.headers)
        own = (await client.get(f"{RUNS}/{run_id}", headers=person.headers)).json()
        model.go_on.set()

    assert (theirs.status_code, theirs.json()["code"]) == (404, "chat.run_not_found")
    assert theirs.json()["detail"] == missing.json()["detail"]
    assert own["state"] == "running"


async def test_events_that_are_no_longer_kept_are_not_found(
    chat: httpx.AsyncClient, body: dict[str, object], person: User, suite: Suite
) -> None:
    run_id = (await chat.post(MESSAGE, json=body | {"stream": False})).json()["run_id"]
    keys = Keys(Owner(person.tenant_id, person.user_id))
    async with open_redis(suite.url("redis")) as redis:
        left = [await redis.ttl(keys.run(run_id)), await redis.ttl(keys.events(run_id))]
        await redis.delete(keys.events(run_id))

    answer = await chat.get(f"{RUNS}/{run_id}/events")

    assert all(86_400 < seconds <= 87_000 for seconds in left)
    assert (answer.status_code, answer.json()["code"]) == (404, "chat.run_not_found")


async def test_what_was_written_after_the_end_is_told_nobody(
    chat: httpx.AsyncClient, body: dict[str, object], person: User, suite: Suite
) -> None:
    """As by a replica of an earlier release."""
    run_id = (await chat.post(MESSAGE, json=body | {"stream": False})).json()["run_id"]
    before = await follow(chat, run_id)
    last = before[-1].id
    name = Keys(Owner(person.tenant_id, person.user_id)).events(run_id)
    async with open_redis(suite.url("redis")) as redis:
        await redis.xadd(name, {"e": "message.delta", "d": "{}"}, id=f"{last + 1}-0")
        await redis.xadd(name, {"e": "run.failed", "d": "{}"}, id=f"{last + 2}-0")

    after = await follow(chat, run_id)
    answers = [
        await chat.get(f"{RUNS}/{run_id}/events", headers={"Last-Event-ID": str(seen)})
        for seen in (last, last + 1, last + 2)
    ]

    assert after == before
    assert [answer.status_code for answer in answers] == [204, 204, 204]


async def test_a_deleted_conversation_ends_its_streams(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User
) -> None:
    model.go_on.clear()
    async with open_chat() as one, open_chat() as other:
        one.headers.update(person.headers)
        other.headers.update(person.headers)
        async with one.stream("POST", MESSAGE, json=body) as response:
            started = await anext(events_of(response))
            await model.is_generating.wait()
            async with other.stream("GET", f"{RUNS}/{started.data['run_id']}/events") as stream:
                events = events_of(stream)
                seen = [await anext(events)]
                await one.delete(f"/api/v1/chat/conversations/{started.data['conversation_id']}")
                model.go_on.set()
                seen += [event async for event in events]
        gone = await other.get(f"{RUNS}/{started.data['run_id']}")

    assert (seen[-1].type, seen[-1].data["code"]) == ("run.failed", "chat.run_not_found")
    assert gone.status_code == 404
