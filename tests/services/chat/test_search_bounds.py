"""A search through much text neither holds Redis up nor ends without an answer."""

import asyncio
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.chat.conversations import searching
from services.chat.conversations.repository import ConversationRepository
from services.chat.conversations.searching import ConversationSearch, Wanted
from services.chat.domain import Owner
from services.chat.storage import Keys
from services.chat.words import kept_words
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat, until

MESSAGE = "/api/v1/chat/message"
CONVERSATIONS = "/api/v1/chat/conversations"


async def begin(chat: httpx.AsyncClient, agent_id: str, content: str) -> str:
    answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": content})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["conversation_id"])


async def test_a_search_that_ends_early_goes_on_where_it_stopped(
    chat: httpx.AsyncClient, agent_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ["swordfish", "nothing", "nothing", "nothing", "swordfish", "nothing"]
    begun = [await begin(chat, agent_id, content) for content in said]
    monkeypatch.setattr(searching, "_WORK_OF_A_SEARCH", 1)
    monkeypatch.setattr(searching, "_WORK_OF_A_CALL", 1)

    pages, more = list[list[str]](), dict[str, str]()
    while not pages or more:
        page = (await chat.get(CONVERSATIONS, params={"q": "swordfish", "limit": "2"} | more)).json()
        pages.append([item["id"] for item in page["items"]])
        more = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}

    assert [id_ for page in pages for id_ in page] == [begun[4], begun[0]]
    assert [] in pages[:-1]


async def test_one_call_looks_at_a_part_of_a_large_conversation(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.up(["redis"])
    owner, conversation_id, calls = Owner(new_id(), new_id()), new_id(), list[int]()
    keys = Keys(owner)
    words = await kept_words(" ".join(f"w{number}" for number in range(4_096)))
    async with open_redis(suite.url("redis")) as redis:
        await redis.hset(keys.conversation(conversation_id), "agent_id", "a")
        stored: dict[Any, Any] = {new_id(): words for _ in range(600)} | {
            new_id(): await kept_words("apple"),
            "title": b"",
        }
        await redis.hset(keys.words(conversation_id), mapping=stored)
        searching_for = ConversationSearch(redis)
        script = searching_for._script

        async def counted(**given: Any) -> Any:
            answer = await script(**given)
            calls.append(answer[-1])
            return answer

        monkeypatch.setattr(searching_for, "_script", counted)
        found = await searching_for.of(owner, Wanted(words="apple w17 w4000")).among([conversation_id])
        calls.clear()
        other = await searching_for.of(owner, Wanted(words="pear")).among([conversation_id])
        await redis.delete(keys.conversation(conversation_id), keys.words(conversation_id))

    assert (found, other) == (({conversation_id}, 1), (set(), 1))
    assert max(calls) < 4_000_000
    assert len(calls) >= 4


async def test_searches_count_among_the_heavy_operations(
    open_chat: OpenChat, person: User, patient_limits: None
) -> None:
    async with open_chat(rate_limit_bulk="2 per 10 minutes") as chat:
        chat.headers.update(person.headers)
        searches = [(await chat.get(CONVERSATIONS, params={"q": "hello"})).status_code for _ in range(3)]
        listed = await chat.get(CONVERSATIONS)

    assert (searches, listed.status_code) == ([200, 200, 429], 200)


async def test_one_users_searches_wait_and_those_beyond_are_refused(
    open_chat: OpenChat, person: User, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on, waiting = asyncio.Event(), ConversationRepository.positions

    async def held(self: Any, owner: Owner, limit: int, after: Any, wanted: Wanted) -> Any:
        if wanted.words == "slow":
            await may_go_on.wait()
        return await waiting(self, owner, limit, after, wanted)

    monkeypatch.setattr(ConversationRepository, "positions", held)
    async with open_chat() as chat:
        mine = [
            asyncio.create_task(chat.get(CONVERSATIONS, params={"q": "slow"}, headers=person.headers)) for _ in range(8)
        ]

        async def are_refused() -> bool:
            return sum(one.done() for one in mine) == 2

        await until(are_refused)  # before any of the others goes on
        done = [one for one in mine if one.done()]
        others = asyncio.create_task(chat.get(CONVERSATIONS, params={"q": "quick"}, headers=user.headers))
        listed = await chat.get(CONVERSATIONS, headers=person.headers)
        may_go_on.set()
        answers = await asyncio.gather(*mine, others)

    assert {(await one).json()["code"] for one in done} == {"chat.searches_full"}
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [503] * 2
    assert (others.result().status_code, listed.status_code) == (200, 200)
