"""Conversations that go another way from a message on, and messages that are answered anew."""

import asyncio
from typing import Any

import httpx
import pytest

from services.chat.conversations import forking
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.chat.client import OpenChat, events_of, until
from tests.services.chat.servers import ModelServer

MESSAGE = "/api/v1/chat/message"
CONVERSATIONS = "/api/v1/chat/conversations"
Messages = list[dict[str, Any]]


async def say(chat: httpx.AsyncClient, agent_id: str, content: str, conversation_id: str | None = None) -> str:
    more = {"conversation_id": conversation_id} if conversation_id else {}
    answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": content, **more})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["conversation_id"])


async def messages_of(chat: httpx.AsyncClient, conversation_id: str) -> Messages:
    answer = await chat.get(f"{CONVERSATIONS}/{conversation_id}/messages")
    items: Messages = answer.json()["items"]
    return items


@pytest.fixture
async def conversation_id(chat: httpx.AsyncClient, agent_id: str, model: ModelServer) -> str:
    """One of two turns: one, First answer; two, Second answer."""
    model.pieces = ["First answer"]
    conversation_id = await say(chat, agent_id, "one")
    model.pieces = ["Second answer"]
    return await say(chat, agent_id, "two", conversation_id)


async def fork(chat: httpx.AsyncClient, conversation_id: str, message_id: str, **more: Any) -> httpx.Response:
    return await chat.post(f"{CONVERSATIONS}/{conversation_id}/fork", json={"message_id": message_id}, **more)


async def test_a_fork_has_what_was_said_up_to_the_message_and_goes_on_alone(
    chat: httpx.AsyncClient, agent_id: str, conversation_id: str, model: ModelServer
) -> None:
    before = await messages_of(chat, conversation_id)
    await chat.patch(f"{CONVERSATIONS}/{conversation_id}", json={"metadata": {"team": "finance"}})

    made = await fork(chat, conversation_id, before[1]["id"])
    forked = made.json()
    await say(chat, agent_id, "three", forked["id"])

    assert (made.status_code, made.headers["location"]) == (201, f"{CONVERSATIONS}/{forked['id']}")
    assert forked["forked_from"] == {"conversation_id": conversation_id, "message_id": before[1]["id"]}
    assert (forked["message_count"], forked["title"], forked["metadata"]) == (2, "one", {"team": "finance"})
    assert [m["content"] for m in await messages_of(chat, forked["id"])][:3] == ["one", "First answer", "three"]
    assert (await messages_of(chat, forked["id"]))[:2] == before[:2]
    assert await messages_of(chat, conversation_id) == before
    assert [m["content"] for m in model.asked[-1]["messages"]][-3:] == ["one", "First answer", "three"]


async def test_a_fork_is_found_by_the_words_it_has(chat: httpx.AsyncClient, conversation_id: str) -> None:
    forked = (await fork(chat, conversation_id, (await messages_of(chat, conversation_id))[1]["id"])).json()["id"]

    async def found(words: str) -> set[str]:
        return {item["id"] for item in (await chat.get(CONVERSATIONS, params={"q": words})).json()["items"]}

    assert await found("first") == {conversation_id, forked}
    assert await found("second") == {conversation_id}
    await chat.delete(f"{CONVERSATIONS}/{conversation_id}")
    assert await found("first") == {forked}


async def test_a_repeated_fork_is_made_once(chat: httpx.AsyncClient, agent_id: str, conversation_id: str) -> None:
    headers = {"Idempotency-Key": new_id()}
    first, last = [(await messages_of(chat, conversation_id))[at]["id"] for at in (0, -1)]

    answers = await asyncio.gather(*[fork(chat, conversation_id, last, headers=headers) for _ in range(2)])
    again = await fork(chat, conversation_id, last, headers=headers)
    other = await fork(chat, conversation_id, first, headers=headers)
    message = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Hi"}, headers=headers)

    made = {answer.json()["id"] for answer in (*answers, again) if answer.status_code == 201}
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len(made) == 1
    assert again.headers["idempotency-replayed"] == "true"
    assert {other.json()["code"], message.json()["code"]} == {"common.idempotency_key_reused"}
    assert len((await chat.get(CONVERSATIONS)).json()["items"]) == 2


async def test_a_conversation_is_forked_while_it_is_answered(
    chat: httpx.AsyncClient, agent_id: str, conversation_id: str, model: ModelServer
) -> None:
    model.go_on.clear()
    body = {"agent_id": agent_id, "content": "three", "conversation_id": conversation_id, "stream": True}
    async with chat.stream("POST", MESSAGE, json=body) as response:
        events = events_of(response)
        asked = (await anext(events)).data["message"]["id"]
        made = (await fork(chat, conversation_id, asked)).json()
        model.go_on.set()
        rest = [event async for event in events]

    answered = await chat.post(f"{CONVERSATIONS}/{made['id']}/regenerate", json={})

    assert rest[-1].type == "run.completed"
    assert made["message_count"] == 5
    assert answered.status_code == 200
    assert [m["content"] for m in await messages_of(chat, made["id"])][-2:] == ["three", "Second answer"]


async def test_what_cannot_be_forked_is_told(
    open_chat: OpenChat, agent_id: str, person: User, register_user: RegisterUser
) -> None:
    async with open_chat(max_conversations=1) as chat:
        chat.headers.update(person.headers)
        mine = await say(chat, agent_id, "one")
        message = (await messages_of(chat, mine))[0]["id"]
        stranger = (await register_user()).headers

        answers = [
            await fork(chat, mine, new_id()),
            await fork(chat, new_id(), message),
            await fork(chat, mine, message, headers=stranger),
            await fork(chat, mine, message),
        ]

    assert [answer.json()["code"] for answer in answers] == [
        "chat.too_many_conversations",
        "chat.conversation_not_found",
        "chat.conversation_not_found",
        "chat.too_many_conversations",
    ]


async def test_a_message_that_is_not_there_is_no_place_to_fork(chat: httpx.AsyncClient, conversation_id: str) -> None:
    answer = await fork(chat, conversation_id, new_id())

    assert (answer.status_code, answer.json()["code"]) == (404, "chat.message_not_found")
    assert len((await chat.get(CONVERSATIONS)).json()["items"]) == 1


async def test_a_fork_copies_no_more_than_a_fork_may(
    chat: httpx.AsyncClient, conversation_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = await messages_of(chat, conversation_id)
    monkeypatch.setattr(forking, "_MOST_BYTES", 600)

    whole = await fork(chat, conversation_id, messages[-1]["id"])
    begin = await fork(chat, conversation_id, messages[0]["id"])

    assert (whole.status_code, whole.json()["code"]) == (409, "chat.fork_too_large")
    assert (begin.status_code, begin.json()["message_count"]) == (201, 1)


async def test_forks_copy_no_more_in_a_day_than_they_may(
    chat: httpx.AsyncClient, conversation_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = await messages_of(chat, conversation_id)
    monkeypatch.setattr(forking, "_MOST_BYTES_OF_A_DAY", 3_000)

    answers = await asyncio.gather(*[fork(chat, conversation_id, messages[-1]["id"]) for _ in range(10)])
    refused = [answer for answer in answers if answer.status_code != 201]

    assert 0 < len(refused) < 10
    assert {answer.json()["code"] for answer in refused} == {"chat.forked_too_much"}
    assert all(86_000 < int(answer.headers["retry-after"]) <= 86_400 for answer in refused)
    assert len((await chat.get(CONVERSATIONS)).json()["items"]) == 11 - len(refused)


async def test_a_regenerated_answer_takes_the_place_of_the_last(
    chat: httpx.AsyncClient, conversation_id: str, model: ModelServer
) -> None:
    before = await messages_of(chat, conversation_id)
    model.pieces = ["Another"]

    answer = await chat.post(f"{CONVERSATIONS}/{conversation_id}/regenerate", json={})

    after = await messages_of(chat, conversation_id)
    assert answer.json()["message"] == after[-1]
    assert [m["content"] for m in after] == ["one", "First answer", "two", "Another"]
    assert (after[:2], after[2]["id"]) == (before[:2], before[2]["id"])
    assert {m["run_id"] for m in after[2:]} == {answer.json()["run_id"]}
    assert (await chat.get(f"{CONVERSATIONS}/{conversation_id}")).json()["message_count"] == 4
    assert [m["content"] for m in model.asked[-1]["messages"]][-3:] == ["one", "First answer", "two"]
    assert (await chat.get(CONVERSATIONS, params={"q": "second"})).json()["items"] == []


async def test_a_message_that_failed_is_answered_by_regenerating(
    chat: httpx.AsyncClient, agent_id: str, conversation_id: str, model: ModelServer
) -> None:
    model.breaks_after = 0
    body = {"agent_id": agent_id, "content": "three", "conversation_id": conversation_id}
    failed = await chat.post(MESSAGE, json=body)
    model.breaks_after = None

    async with chat.stream("POST", f"{CONVERSATIONS}/{conversation_id}/regenerate", json={"stream": True}) as response:
        events = [event async for event in events_of(response)]

    assert failed.status_code == 503
    assert (events[0].type, events[-1].type) == ("run.started", "run.completed")
    assert [m["content"] for m in await messages_of(chat, conversation_id)][3:] == [
        "Second answer",
        "three",
        "Second answer",
    ]


async def test_nothing_is_regenerated_while_an_answer_is_made(
    chat: httpx.AsyncClient, agent_id: str, conversation_id: str, model: ModelServer
) -> None:
    model.go_on.clear()
    body = {"agent_id": agent_id, "content": "three", "conversation_id": conversation_id, "stream": True}
    async with chat.stream("POST", MESSAGE, json=body) as response:
        events = events_of(response)
        await anext(events)
        busy = await chat.post(f"{CONVERSATIONS}/{conversation_id}/regenerate", json={})
        model.go_on.set()
        rest = [event async for event in events]

    assert (busy.status_code, busy.json()["code"]) == (409, "chat.run_active")
    assert rest[-1].type == "run.completed"
    assert len(await messages_of(chat, conversation_id)) == 6


async def test_of_many_who_regenerate_at_once_one_does(
    chat: httpx.AsyncClient, conversation_id: str, model: ModelServer
) -> None:
    path = f"{CONVERSATIONS}/{conversation_id}/regenerate"
    model.go_on.clear()
    asking = [asyncio.create_task(chat.post(path, json={})) for _ in range(5)]

    async def are_refused() -> bool:
        return sum(one.done() for one in asking) == 4

    await until(are_refused)  # all but one, while that one is answered
    model.go_on.set()
    answers = await asyncio.gather(*asking)

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert len(await messages_of(chat, conversation_id)) == 4


async def test_regenerating_under_a_key_is_done_once(
    chat: httpx.AsyncClient, conversation_id: str, model: ModelServer
) -> None:
    path, headers = f"{CONVERSATIONS}/{conversation_id}/regenerate", {"Idempotency-Key": new_id()}
    asked = len(model.asked)

    first, again = [await chat.post(path, json={}, headers=headers) for _ in range(2)]

    assert first.content == again.content
    assert again.headers["idempotency-replayed"] == "true"
    assert len(model.asked) == asked + 1


async def test_nobody_regenerates_what_belongs_to_others(
    chat: httpx.AsyncClient, conversation_id: str, register_user: RegisterUser
) -> None:
    headers = (await register_user()).headers

    answer = await chat.post(f"{CONVERSATIONS}/{conversation_id}/regenerate", json={}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (404, "chat.conversation_not_found")
