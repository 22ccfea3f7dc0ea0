"""Conversations as their owner finds them, and as nobody else does."""

import asyncio
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.chat.bounds import Bounds
from services.chat.conversations.repository import ConversationRepository
from services.chat.conversations.searching import Wanted
from services.chat.domain import Owner
from services.chat.errors import ConversationNotFound
from services.chat.runs import launching
from services.chat.storage import Keys
from services.chat.times import now, to_ms
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.chat.client import OpenChat, events_of
from tests.services.chat.servers import ModelServer

MESSAGE = "/api/v1/chat/message"
CONVERSATIONS = "/api/v1/chat/conversations"


def kept_for(milliseconds: int) -> Bounds:
    return Bounds(retention_ms=milliseconds, lease_ms=0, kept_seconds=0, max_messages=0, max_conversations=0)


async def begin(chat: httpx.AsyncClient, agent_id: str, content: str = "Hello") -> str:
    answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": content})
    conversation_id: str = answer.json()["conversation_id"]
    return conversation_id


async def pages(chat: httpx.AsyncClient, path: str, limit: int) -> list[list[str]]:
    """The ids of every page."""
    found, cursor = list[list[str]](), ""
    while True:
        page = (await chat.get(f"{path}?limit={limit}{cursor}")).json()
        found.append([item["id"] for item in page["items"]])
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def test_a_conversation_is_named_for_its_first_line(chat: httpx.AsyncClient, agent_id: str) -> None:
    conversation_id = await begin(chat, agent_id, "How long is  the warranty?\nI lost the receipt.")

    answer = await chat.get(f"{CONVERSATIONS}/{conversation_id}")

    assert answer.json()["title"] == "How long is the warranty?"
    assert (answer.json()["agent_id"], answer.json()["message_count"]) == (agent_id, 2)


async def test_the_newest_activity_comes_first_on_pages_without_overlap(chat: httpx.AsyncClient, agent_id: str) -> None:
    first, second, third = [await begin(chat, agent_id) for _ in range(3)]
    await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Again", "conversation_id": first})

    assert await pages(chat, CONVERSATIONS, 2) == [[first, third], [second]]


async def test_equal_times_are_paged_without_loss(
    chat: httpx.AsyncClient, agent_id: str, person: User, suite: Suite
) -> None:
    begun = [await begin(chat, agent_id) for _ in range(5)]
    index = Keys(Owner(person.tenant_id, person.user_id)).conversations
    async with open_redis(suite.url("redis")) as redis:
        await redis.zadd(index, dict.fromkeys(begun, to_ms(now())))

    found = await pages(chat, CONVERSATIONS, 2)

    assert [len(page) for page in found] == [2, 2, 1]
    assert sorted(id_ for page in found for id_ in page) == sorted(begun)


async def test_messages_are_paged_oldest_first(chat: httpx.AsyncClient, agent_id: str) -> None:
    conversation_id = await begin(chat, agent_id, "one")
    for content in ("two", "three"):
        body = {"agent_id": agent_id, "content": content, "conversation_id": conversation_id}
        await chat.post(MESSAGE, json=body)
    path = f"{CONVERSATIONS}/{conversation_id}/messages"

    asked = [m["content"] for m in (await chat.get(path)).json()["items"] if m["role"] == "user"]

    assert asked == ["one", "two", "three"]
    assert [len(page) for page in await pages(chat, path, 4)] == [4, 2]


async def test_a_cursor_is_good_for_its_own_list_only(chat: httpx.AsyncClient, agent_id: str) -> None:
    one, other = [await begin(chat, agent_id) for _ in range(2)]
    cursor = (await chat.get(f"{CONVERSATIONS}/{one}/messages?limit=1")).json()["next_cursor"]

    answer = await chat.get(f"{CONVERSATIONS}/{other}/messages?limit=1&cursor={cursor}")

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "query/cursor")


async def test_renaming_changes_the_tag_and_not_the_place(chat: httpx.AsyncClient, agent_id: str) -> None:
    first, second = [await begin(chat, agent_id) for _ in range(2)]
    before = (await chat.get(f"{CONVERSATIONS}/{first}")).headers["etag"]

    renamed = await chat.patch(f"{CONVERSATIONS}/{first}", json={"title": "Falcon"}, headers={"If-Match": before})
    stale = await chat.patch(f"{CONVERSATIONS}/{first}", json={"title": "Eagle"}, headers={"If-Match": before})

    assert (renamed.status_code, renamed.json()["title"]) == (200, "Falcon")
    assert renamed.headers["etag"] != before
    assert (stale.status_code, stale.json()["code"]) == (412, "common.precondition_failed")
    assert await pages(chat, CONVERSATIONS, 20) == [[second, first]]


async def test_a_change_of_nothing_changes_nothing(chat: httpx.AsyncClient, agent_id: str) -> None:
    path = f"{CONVERSATIONS}/{await begin(chat, agent_id)}"
    before = await chat.get(path)

    answer = await chat.patch(path, json={}, headers={"If-Match": before.headers["etag"]})
    stale = await chat.patch(path, json={}, headers={"If-Match": '"0"'})

    assert (answer.json(), answer.headers["etag"]) == (before.json(), before.headers["etag"])
    assert stale.status_code == 412


async def test_a_hundred_who_change_at_once_all_find_a_connection(suite: Suite) -> None:
    suite.up(["redis"])
    owner, ids = Owner(new_id(), new_id()), [new_id() for _ in range(100)]
    stored: dict[Any, Any] = {"agent_id": new_id(), "title": "Hello", "message_count": 1, "version": 1}
    stored |= {"created_at": to_ms(now()), "last_activity_at": to_ms(now())}
    async with open_redis(suite.url("redis")) as redis:
        repository = ConversationRepository(redis, kept_for(60_000))
        for id_ in ids:
            await redis.hset(Keys(owner).conversation(id_), mapping=stored)

        named = await asyncio.gather(*[repository.update(owner, id_, {"title": id_}, '"1"') for id_ in ids])
        await asyncio.gather(*[repository.delete(owner, id_, '"2"') for id_ in ids])
        left = await repository.get_many(owner, ids)

    assert [(one.title, one.version) for one in named] == [(id_, 2) for id_ in ids]
    assert left == []


async def test_a_deleted_conversation_leaves_nothing_behind(
    chat: httpx.AsyncClient, agent_id: str, person: User, suite: Suite
) -> None:
    conversation_id = await begin(chat, agent_id)

    deleted = await chat.delete(f"{CONVERSATIONS}/{conversation_id}")

    assert deleted.status_code == 204
    assert (await chat.get(f"{CONVERSATIONS}/{conversation_id}")).status_code == 404
    assert (await chat.get(f"{CONVERSATIONS}/{conversation_id}/messages")).status_code == 404
    async with open_redis(suite.url("redis")) as redis:
        kept = [key async for key in redis.scan_iter(f"chat:*{person.user_id}*")]
    assert [key for key in kept if b":usage:" not in key] == []  # what was used up stays, and holds nothing of it


async def test_deleting_ends_the_answer_under_way(
    open_chat: OpenChat,
    agent_id: str,
    person: User,
    model: ModelServer,
    suite: Suite,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing has been noted yet of what it used, which stays for whoever counts that."""
    monkeypatch.setattr(launching, "_NOTED_EVERY_SECONDS", PATIENCE_SECONDS)
    model.go_on.clear()

    async with open_chat(run_lease_seconds=1) as chat:
        chat.headers.update(person.headers)
        body = {"agent_id": agent_id, "content": "Hello", "stream": True}
        async with chat.stream("POST", MESSAGE, json=body) as response:
            events = events_of(response)
            started = await anext(events)
            await model.is_generating.wait()
            await chat.delete(f"{CONVERSATIONS}/{started.data['conversation_id']}")
            rest = [event async for event in events]

    assert (rest[-1].type, rest[-1].data["code"]) == ("run.failed", "chat.conversation_not_found")
    async with open_redis(suite.url("redis")) as redis:
        kept = [key async for key in redis.scan_iter(f"chat:*{person.user_id}*")]
    assert [key for key in kept if b":usage:" not in key] == []  # what was used up stays, and holds nothing of it


async def test_a_conversation_does_not_exist_for_others(
    chat: httpx.AsyncClient, agent_id: str, register_user: RegisterUser
) -> None:
    conversation_id = await begin(chat, agent_id)
    path, headers = f"{CONVERSATIONS}/{conversation_id}", (await register_user()).headers
    body = {"agent_id": agent_id, "content": "Hello", "conversation_id": conversation_id}

    answers = [
        await chat.get(path, headers=headers),
        await chat.get(f"{path}/messages", headers=headers),
        await chat.patch(path, json={"title": "Mine"}, headers=headers),
        await chat.delete(path, headers=headers),
        await chat.post(MESSAGE, json=body, headers=headers),
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "chat.conversation_not_found")}
    assert (await chat.get(CONVERSATIONS, headers=headers)).json()["items"] == []


async def test_nor_for_another_user_of_the_same_tenant(
    chat: httpx.AsyncClient, agent_id: str, person: User, suite: Suite
) -> None:
    conversation_id = await begin(chat, agent_id)
    async with open_redis(suite.url("redis")) as redis:
        repository = ConversationRepository(redis, kept_for(90 * 86_400_000))
        found = await repository.get(Owner(person.tenant_id, person.user_id), conversation_id)
        with pytest.raises(ConversationNotFound):
            await repository.get(Owner(person.tenant_id, new_id()), conversation_id)

    assert found.id == conversation_id


async def test_conversations_are_forgotten_after_their_retention(
    chat: httpx.AsyncClient, agent_id: str, person: User, suite: Suite
) -> None:
    conversation_id = await begin(chat, agent_id)
    keys = Keys(Owner(person.tenant_id, person.user_id))
    async with open_redis(suite.url("redis")) as redis:
        names = [keys.conversations, keys.conversation(conversation_id), keys.messages(conversation_id)]
        names.append(keys.words(conversation_id))
        remaining = [await redis.ttl(name) for name in names]
        short = ConversationRepository(redis, kept_for(0))
        listed = (await short.positions(Owner(person.tenant_id, person.user_id), 10, None, Wanted())).places

    assert all(89 * 86_400 < seconds <= 90 * 86_400 for seconds in remaining)
    assert listed == []


async def test_neither_conversations_nor_messages_grow_without_bound(
    open_chat: OpenChat, agent_id: str, person: User
) -> None:
    async with open_chat(max_conversations=1, max_messages=2) as chat:
        chat.headers.update(person.headers)
        conversation_id = await begin(chat, agent_id)
        body = {"agent_id": agent_id, "content": "Hello"}
        another = await chat.post(MESSAGE, json=body)
        more = await chat.post(MESSAGE, json=body | {"conversation_id": conversation_id})

    assert (another.status_code, another.json()["code"]) == (409, "chat.too_many_conversations")
    assert (more.status_code, more.json()["code"]) == (409, "chat.conversation_full")
