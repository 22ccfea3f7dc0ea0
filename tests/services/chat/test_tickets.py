"""A ticket opens the events of one run for a minute, to whom no header is possible."""

import httpx
import pytest

from local.suite import Suite
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.chat.client import OpenChat, events_of, until
from tests.services.chat.servers import ModelServer

MESSAGE = "/api/v1/chat/message"
RUNS = "/api/v1/chat/runs"


@pytest.fixture
async def run_id(chat: httpx.AsyncClient, agent_id: str) -> str:
    answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello"})
    return str(answer.json()["run_id"])


async def ticket_to(chat: httpx.AsyncClient, run_id: str, headers: dict[str, str] | None = None) -> str:
    answer = await chat.post(f"{RUNS}/{run_id}/ticket", headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["ticket"])


async def test_a_ticket_opens_the_events_on_any_replica_and_again_after_a_break(
    open_chat: OpenChat, agent_id: str, person: User, model: ModelServer
) -> None:
    model.go_on.clear()
    async with open_chat() as one, open_chat() as other:
        body = {"agent_id": agent_id, "content": "Hello", "stream": True}
        async with one.stream("POST", MESSAGE, json=body, headers=person.headers) as response:
            run_id = (await anext(events_of(response))).data["run_id"]
            path = f"{RUNS}/{run_id}/events?ticket={await ticket_to(one, run_id, person.headers)}"
            async with other.stream("GET", path) as stream:
                seen = [await anext(events_of(stream))]
            model.go_on.set()
            async with other.stream("GET", path, headers={"Last-Event-ID": str(seen[-1].id)}) as stream:
                seen += [event async for event in events_of(stream)]

    assert [event.id for event in seen] == list(range(1, len(seen) + 1))
    assert (seen[0].type, seen[-1].type) == ("run.started", "run.completed")


async def test_a_ticket_opens_nothing_else(chat: httpx.AsyncClient, agent_id: str, run_id: str) -> None:
    other = (await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello"})).json()["run_id"]
    ticket = await ticket_to(chat, run_id)
    del chat.headers["Authorization"]

    answers = [
        await chat.get(f"{RUNS}/{other}/events?ticket={ticket}"),
        await chat.get(f"{RUNS}/{run_id}?ticket={ticket}"),
        await chat.post(f"{RUNS}/{run_id}/cancel?ticket={ticket}"),
        await chat.post(f"{RUNS}/{run_id}/ticket?ticket={ticket}"),
        await chat.get(f"/api/v1/chat/conversations?ticket={ticket}"),
        await chat.get(f"{RUNS}/{run_id}/events"),
        await chat.get(f"{RUNS}/{run_id}/events?ticket="),
        await chat.get(f"{RUNS}/{run_id}/events?ticket={ticket}x"),
        await chat.get(f"{RUNS}/{run_id}/events?ticket={'x' * 5000}"),
        await chat.get(f"{RUNS}/{run_id}/events?ticket=%ff%00"),
        await chat.get(f"{RUNS}/{run_id}/events", headers={"Authorization": f"Bearer {ticket}"}),
    ]
    opened = await chat.get(f"{RUNS}/{run_id.upper()}/events?ticket={ticket}")

    assert {answer.status_code for answer in answers} == {401}
    assert opened.status_code == 200


async def test_a_ticket_is_given_for_ones_own_runs_and_kept_by_nobody(
    chat: httpx.AsyncClient, run_id: str, register_user: RegisterUser
) -> None:
    mine = await chat.post(f"{RUNS}/{run_id}/ticket")
    keyed = await chat.post(f"{RUNS}/{run_id}/ticket", headers={"Idempotency-Key": new_id()})
    missing = await chat.post(f"{RUNS}/{new_id()}/ticket")
    stranger = await chat.post(f"{RUNS}/{run_id}/ticket", headers=(await register_user()).headers)

    assert mine.headers["cache-control"] == "no-store"
    assert keyed.json()["code"] == "common.idempotency_key_refused"
    assert {missing.status_code, stranger.status_code} == {404}


async def test_a_ticket_ends_with_the_session_of_who_asked_for_it(
    chat: httpx.AsyncClient, run_id: str, person: User, auth: httpx.AsyncClient
) -> None:
    path = f"{RUNS}/{run_id}/events?ticket={await ticket_to(chat, run_id)}"
    del chat.headers["Authorization"]
    before = await chat.get(path)

    await auth.post("/api/v1/auth/logout", headers=person.headers)

    async def is_refused() -> bool:
        return (await chat.get(path)).status_code == 401

    assert before.status_code == 200
    await until(is_refused)


async def test_events_end_with_the_session_of_who_hears_them(
    open_chat: OpenChat, agent_id: str, person: User, auth: httpx.AsyncClient, model: ModelServer
) -> None:
    model.go_on.clear()
    body = {"agent_id": agent_id, "content": "Hello", "stream": True}
    async with (
        open_chat(heartbeat_seconds=0.05) as client,
        client.stream("POST", MESSAGE, json=body, headers=person.headers) as response,
    ):
        run_id = (await anext(events_of(response))).data["run_id"]
        async with client.stream("GET", f"{RUNS}/{run_id}/events", headers=person.headers) as stream:
            await auth.post("/api/v1/auth/logout", headers=person.headers)
            heard = [event.type async for event in events_of(stream)]  # which ends, though the model still writes
        model.go_on.set()

    assert heard[0] == "run.started"
    assert "run.completed" not in heard


async def test_a_ticket_lasts_a_minute_and_redis_holds_neither_it_nor_a_token(
    chat: httpx.AsyncClient, run_id: str, person: User, suite: Suite
) -> None:
    ticket = await ticket_to(chat, run_id)
    path = f"{RUNS}/{run_id}/events?ticket={ticket}"
    async with open_redis(suite.url("redis")) as redis:
        names = [name async for name in redis.scan_iter("chat:ticket:*")]
        stored = {name: await redis.get(name) or b"" for name in names}
        [mine] = [name for name, value in stored.items() if run_id.encode() in value]
        left_ms = await redis.pttl(mine)
        await redis.delete(mine)
    del chat.headers["Authorization"]

    assert 0 < left_ms <= 60_000
    assert ticket.encode() not in mine + stored[mine]
    assert person.token.encode() not in stored[mine]
    assert (await chat.get(path)).status_code == 401


async def test_a_key_for_one_conversation_opens_its_runs_and_no_others(
    chat: httpx.AsyncClient, agent_id: str, person: User, auth: httpx.AsyncClient
) -> None:
    mine, other = [(await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello"})).json() for _ in range(2)]
    scopes = [f"chat:{mine['conversation_id']}:read", f"chat:{mine['conversation_id']}:write"]
    made = await auth.post("/api/v1/auth/api-keys", json={"name": "one", "scopes": scopes}, headers=person.headers)
    del chat.headers["Authorization"]
    chat.headers["X-API-Key"] = made.raise_for_status().json()["key"]

    async def opened(run_id: str) -> list[int]:
        answers = [
            await chat.get(f"{RUNS}/{run_id}"),
            await chat.get(f"{RUNS}/{run_id}/events"),
            await chat.post(f"{RUNS}/{run_id}/ticket"),
            await chat.post(f"{RUNS}/{run_id}/cancel"),
        ]
        return [answer.status_code for answer in answers]

    assert await opened(mine["run_id"]) == [200, 200, 201, 409]
    assert await opened(mine["run_id"].upper()) == [200, 200, 201, 409]
    assert await opened(other["run_id"]) == [403] * 4
    assert await opened(new_id()) == [403] * 4
