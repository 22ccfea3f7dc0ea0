"""The events of a run, for whoever follows it and however often."""

import httpx
import pytest

from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat, events_of, until
from tests.services.chat.servers import ModelServer

MESSAGE = "/api/v1/chat/message"
CONVERSATIONS = "/api/v1/chat/conversations"


@pytest.fixture
def body(agent_id: str) -> dict[str, object]:
    return {"agent_id": agent_id, "content": "How long is the warranty?", "stream": True}


async def test_events_come_in_order_and_end_with_a_final_one(chat: httpx.AsyncClient, body: dict[str, object]) -> None:
    async with chat.stream("POST", MESSAGE, json=body) as response:
        events = [event async for event in events_of(response)]

    assert response.headers["content-type"].startswith("text/event-stream")
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    kinds = [event.type for event in events]
    deltas = kinds.count("message.delta")
    assert kinds == [
        "run.started",
        "retrieval.completed",
        *["message.delta"] * deltas,
        "message.completed",
        "run.completed",
    ]


async def test_deltas_add_up_to_the_stored_answer(chat: httpx.AsyncClient, body: dict[str, object]) -> None:
    async with chat.stream("POST", MESSAGE, json=body) as response:
        events = [event async for event in events_of(response)]

    written = "".join(event.data["content"] for event in events if event.type == "message.delta")
    message = events[-2].data["message"]
    stored = (await chat.get(f"{CONVERSATIONS}/{events[0].data['conversation_id']}/messages")).json()["items"]
    assert written == message["content"] == "The warranty lasts 27 months [1]."
    assert stored == [events[0].data["message"], message]


async def test_text_is_sent_while_the_model_still_writes(
    chat: httpx.AsyncClient, body: dict[str, object], model: ModelServer
) -> None:
    model.go_on.clear()

    async with chat.stream("POST", MESSAGE, json=body) as response:
        events = events_of(response)
        seen = [await anext(events) for _ in range(3)]
        model.go_on.set()
        rest = [event async for event in events]

    assert seen[-1].data == {"content": "The warranty"}
    assert rest[-1].type == "run.completed"


async def test_text_that_comes_at_once_is_one_event(
    chat: httpx.AsyncClient, body: dict[str, object], model: ModelServer
) -> None:
    model.pieces = [f"{number} " for number in range(500)]

    async with chat.stream("POST", MESSAGE, json=body) as response:
        events = [event async for event in events_of(response)]

    deltas = [event.data["content"] for event in events if event.type == "message.delta"]
    assert "".join(deltas) == "".join(model.pieces)
    assert len(deltas) < len(model.pieces) / 4


async def test_a_client_that_leaves_loses_nothing(
    chat: httpx.AsyncClient, body: dict[str, object], model: ModelServer
) -> None:
    model.go_on.clear()

    async with chat.stream("POST", MESSAGE, json=body) as response:
        started = await anext(events_of(response))
        await model.is_generating.wait()
    model.go_on.set()

    messages = f"{CONVERSATIONS}/{started.data['conversation_id']}/messages"

    async def answered() -> bool:
        return len((await chat.get(messages)).json()["items"]) == 2

    await until(answered)
    assert (await chat.get(messages)).json()["items"][1]["content"] == "The warranty lasts 27 months [1]."


async def test_a_silent_stream_is_kept_alive_by_comments(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User
) -> None:
    model.go_on.clear()

    async with (
        open_chat(heartbeat_seconds=0.05) as client,
        client.stream("POST", MESSAGE, json=body, headers=person.headers) as response,
    ):
        lines = response.aiter_lines()
        comment = await anext(line async for line in lines if line.startswith(":"))
        model.go_on.set()
        [_ async for _ in lines]

    assert comment == ": still here"


async def test_the_same_key_opens_the_same_run_again(
    chat: httpx.AsyncClient, body: dict[str, object], model: ModelServer
) -> None:
    headers = {"Idempotency-Key": new_id()}

    first = await chat.post(MESSAGE, json=body, headers=headers)
    second = await chat.post(MESSAGE, json=body, headers=headers)

    assert second.headers["idempotency-replayed"] == "true"
    assert second.content == first.content
    assert len(model.asked) == 1


async def test_another_replica_tells_the_same_while_it_happens(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User
) -> None:
    headers = person.headers | {"Idempotency-Key": new_id()}
    model.go_on.clear()

    async with (
        open_chat() as one,
        open_chat(heartbeat_seconds=0.2) as other,
        one.stream("POST", MESSAGE, json=body, headers=headers) as here,
        other.stream("POST", MESSAGE, json=body, headers=headers) as there,
    ):
        following = events_of(there)
        seen = [await anext(following) for _ in range(3)]
        model.go_on.set()
        seen += [event async for event in following]
        told = [event async for event in events_of(here)]

    assert there.headers["idempotency-replayed"] == "true"
    assert seen == told
    assert len(model.asked) == 1


async def test_a_run_that_fails_says_so_last(
    chat: httpx.AsyncClient, body: dict[str, object], model: ModelServer
) -> None:
    model.breaks_after = 1

    async with chat.stream("POST", MESSAGE, json=body) as response:
        events = [event async for event in events_of(response)]

    failed = events[-1]
    assert (failed.type, failed.data["code"], failed.data["status"]) == ("run.failed", "chat.model_unavailable", 503)
    assert failed.data["retry_after_seconds"] > 0
    assert failed.data["conversation_id"] == events[0].data["conversation_id"]


async def test_what_is_refused_before_the_run_is_a_plain_problem(
    chat: httpx.AsyncClient, body: dict[str, object]
) -> None:
    answer = await chat.post(MESSAGE, json=body | {"agent_id": new_id()})

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
