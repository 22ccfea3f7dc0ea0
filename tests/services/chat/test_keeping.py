"""What a user's and a tenant's conversations hold is counted as it lies in Redis, and bounded."""

import asyncio
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.keeping import kept_keys
from services.chat.storage import Keys
from shared.redis import open_redis
from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat, events_of, until
from tests.services.chat.queueing import busy, waiting
from tests.services.chat.servers import ModelServer

MESSAGE = "/api/v1/chat/message"
CONVERSATIONS = "/api/v1/chat/conversations"
MIB = 2**20


@pytest.fixture
def owner(person: User) -> Owner:
    return Owner(person.tenant_id, person.user_id)


async def say(chat: httpx.AsyncClient, agent_id: str, content: str = "Hello", **members: Any) -> httpx.Response:
    return await chat.post(MESSAGE, json={"agent_id": agent_id, "content": content} | members)


async def usage_of(chat: httpx.AsyncClient) -> tuple[int, int | None]:
    told = (await chat.get("/api/v1/chat/usage")).json()
    return told["kept_bytes"], told["kept_bytes_limit"]


async def held(redis: Redis, owner: Owner, conversation_id: str) -> int:
    """What the messages of a conversation hold, with their words, and its metadata, if it has any."""
    keys = Keys(owner)
    entries: Any = await redis.xrange(keys.messages(conversation_id))
    words: Any = await redis.hgetall(keys.words(conversation_id))
    words.pop(b"title", None)
    told: Any = await redis.hmget(keys.conversation(conversation_id), ["metadata", "tags"])
    beside = sum(map(len, told)) if told[0] not in (None, b"{}") else 0
    return beside + sum(len(fields[b"m"]) for _, fields in entries) + sum(len(one) for one in words.values())


async def counts(redis: Redis, owner: Owner) -> tuple[int, int]:
    """Of the user, in the user's own count and in the tenant's."""
    own, tenant, _ = kept_keys(owner)
    found: Any = [await redis.hget(own, "bytes"), await redis.hget(tenant, owner.user_id)]
    return int(found[0] or 0), int(found[1] or 0)


async def test_everything_that_writes_and_deletes_is_counted(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer, suite: Suite, owner: Owner
) -> None:
    async with open_redis(suite.url("redis")) as redis:
        seen = list[tuple[int, int]]()

        async def look(*conversation_ids: str) -> None:
            own, of_tenant = await counts(redis, owner)
            assert own == of_tenant
            seen.append((own, sum([await held(redis, owner, one) for one in conversation_ids])))

        first = (await say(chat, agent_id)).json()
        one = first["conversation_id"]
        await look(one)
        model.pieces = ["A much longer answer than the one before [1]."]
        await chat.post(f"{CONVERSATIONS}/{one}/regenerate", json={})
        await look(one)
        forked = await chat.post(f"{CONVERSATIONS}/{one}/fork", json={"message_id": await _last_of(chat, one)})
        two = forked.json()["id"]
        await look(one, two)
        await _queued(chat, agent_id, model, one)
        await look(one, two)
        told = await usage_of(chat)
        await chat.delete(f"{CONVERSATIONS}/{one}")
        await look(two)
        await chat.delete(f"{CONVERSATIONS}/{two}")
        await look()
        left = [await redis.exists(kept_keys(owner)[0]), await redis.hexists(kept_keys(owner)[1], owner.user_id)]

    assert all(counted == lies for counted, lies in seen)
    assert [counted > 0 for counted, _ in seen] == [True] * 5 + [False]
    assert told == (seen[3][0], 64 * MIB)
    assert left == [0, False]


async def _last_of(chat: httpx.AsyncClient, conversation_id: str) -> str:
    page = (await chat.get(f"{CONVERSATIONS}/{conversation_id}/messages")).json()
    return str(page["items"][-1]["id"])


async def _queued(chat: httpx.AsyncClient, agent_id: str, model: ModelServer, conversation_id: str) -> None:
    """Two messages, the second of which has waited for the first."""
    model.go_on.clear()
    model.is_generating.clear()
    first = asyncio.create_task(say(chat, agent_id, conversation_id=conversation_id))
    await model.is_generating.wait()
    body = {"agent_id": agent_id, "content": "Next", "conversation_id": conversation_id, "stream": True}
    async with chat.stream("POST", MESSAGE, json=body | {"on_busy": "enqueue"}) as response:
        events = events_of(response)
        assert (await anext(events)).type == "run.queued"
        model.go_on.set()
        assert [event async for event in events][-1].type == "run.completed"
    assert (await first).status_code == 200


@pytest.mark.parametrize("whose", ["user", "tenant"])
async def test_what_is_held_has_a_bound(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User, suite: Suite, owner: Owner, whose: str
) -> None:
    """No message and no fork comes beyond it, nothing is asked of the model, and what is there can be deleted."""
    limits = {"kept_mib_user": None, "kept_mib_tenant": None, f"kept_mib_{whose}": 1}
    own, tenant, _ = kept_keys(owner)
    async with open_chat(**limits) as chat, open_redis(suite.url("redis")) as redis:
        chat.headers.update(person.headers)
        first = (await say(chat, agent_id)).json()
        conversation_id = first["conversation_id"]
        limit = (await usage_of(chat))[1]
        asked = len(model.asked)
        if whose == "user":
            await redis.hset(own, "bytes", MIB)
        else:
            await redis.hset(tenant, "bytes", MIB)
        refused = [
            await say(chat, agent_id),
            await say(chat, agent_id, conversation_id=conversation_id),
            await say(chat, agent_id, conversation_id=conversation_id, on_busy="interrupt"),
            await chat.post(
                f"{CONVERSATIONS}/{conversation_id}/fork", json={"message_id": await _last_of(chat, conversation_id)}
            ),
        ]
        page = (await chat.get(CONVERSATIONS)).json()["items"]
        deleted = await chat.delete(f"{CONVERSATIONS}/{conversation_id}")

    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(409, "chat.kept_too_much")] * 4
    assert all(whose in answer.json()["detail"] for answer in refused)
    assert limit == (MIB if whose == "user" else None)
    assert len(model.asked) == asked
    assert [one["message_count"] for one in page] == [2]
    assert deleted.status_code == 204


async def test_metadata_are_counted_wherever_they_are_written(
    chat: httpx.AsyncClient, agent_id: str, suite: Suite, owner: Owner
) -> None:
    told = {f"name_{number}": "ü" * 512 for number in range(32)}
    async with open_redis(suite.url("redis")) as redis:
        one = (await say(chat, agent_id, metadata=told)).json()["conversation_id"]
        said = await counts(redis, owner)
        fork = await chat.post(f"{CONVERSATIONS}/{one}/fork", json={"message_id": await _last_of(chat, one)})
        two = fork.json()["id"]
        begun = await chat.post("/api/v1/conversations", json={"metadata": {"a": "b" * 512}})
        three = begun.json()["id"].removeprefix("conv_")
        seen = [await counts(redis, owner)]
        lies = [sum([await held(redis, owner, id_) for id_ in (one, two, three)])]
        for id_, metadata in ((two, {"a": "b"}), (three, told), (three, told), (one, {})):
            assert (await chat.patch(f"{CONVERSATIONS}/{id_}", json={"metadata": metadata})).status_code == 200
            seen.append(await counts(redis, owner))
            lies.append(sum([await held(redis, owner, id_) for id_ in (one, two, three)]))
        for id_ in (one, two, three):
            await chat.delete(f"{CONVERSATIONS}/{id_}")
        left = await counts(redis, owner)

    assert said[0] > 2 * 32 * 2 * 512
    assert seen == [(bytes_, bytes_) for bytes_ in lies]
    assert left == (0, 0)


async def test_metadata_have_the_bound_of_messages(
    open_chat: OpenChat, agent_id: str, person: User, suite: Suite, owner: Owner
) -> None:
    """Nothing of a change is made that has no room; one that takes none is."""
    async with open_chat(kept_mib_user=1) as chat, open_redis(suite.url("redis")) as redis:
        chat.headers.update(person.headers)
        conversation_id = (await say(chat, agent_id, metadata={"a": "b" * 100})).json()["conversation_id"]
        path = f"{CONVERSATIONS}/{conversation_id}"
        await redis.hset(kept_keys(owner)[0], "bytes", MIB)
        more: dict[str, Any] = {"metadata": {"a": "b" * 500}}
        refused = [
            await chat.patch(path, json=more | {"title": "Another"}),
            await chat.post("/api/v1/conversations", json=more),
            await say(chat, agent_id, **more),
            await chat.post(f"/api/v1/conversations/conv_{conversation_id}", json=more),
        ]
        kept = (await chat.get(path)).json()
        smaller = await chat.patch(path, json={"metadata": {"a": "c"}, "title": "Another"})
        larger = await chat.patch(path, json={"metadata": {"a": "c" * 30}})

    assert [answer.status_code for answer in refused] == [409] * 4
    assert all("chat.kept_too_much" in answer.text for answer in refused)
    assert (kept["metadata"], kept["title"]) == ({"a": "b" * 100}, "Hello")
    assert (smaller.json()["metadata"], smaller.json()["title"]) == ({"a": "c"}, "Another")
    assert larger.status_code == 200


async def test_whoever_is_at_the_bound_asks_the_last_message_again(
    open_chat: OpenChat, agent_id: str, person: User, suite: Suite, owner: Owner
) -> None:
    """The answer gives way to another."""
    async with open_chat(kept_mib_user=1) as chat, open_redis(suite.url("redis")) as redis:
        chat.headers.update(person.headers)
        conversation_id = (await say(chat, agent_id)).json()["conversation_id"]
        await redis.hset(kept_keys(owner)[0], "bytes", MIB)
        answer = await chat.post(f"{CONVERSATIONS}/{conversation_id}/regenerate", json={})

    assert answer.status_code == 200


async def test_a_message_that_would_wait_finds_the_bound_before_it_waits(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User, suite: Suite, owner: Owner
) -> None:
    model.go_on.clear()
    async with open_chat(kept_mib_user=1) as chat, open_redis(suite.url("redis")) as redis:
        chat.headers.update(person.headers)
        body = {"agent_id": agent_id, "content": "One", "stream": True}
        async with chat.stream("POST", MESSAGE, json=body) as response:
            events = events_of(response)
            conversation_id = (await anext(events)).data["conversation_id"]
            await redis.hset(kept_keys(owner)[0], "bytes", MIB)
            refused = await say(chat, agent_id, conversation_id=conversation_id, on_busy="enqueue")
            model.go_on.set()
            last = [event async for event in events][-1]

    assert (refused.status_code, refused.json()["code"]) == (409, "chat.kept_too_much")
    assert last.type == "run.completed"  # an answer under way is kept all the same


async def test_what_waits_already_is_counted_with_a_message_that_would_wait(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User, suite: Suite, owner: Owner
) -> None:
    async with open_chat(kept_mib_user=1) as chat, open_redis(suite.url("redis")) as redis:
        chat.headers.update(person.headers)
        async with busy(chat, agent_id, model) as conversation:
            await redis.hset(kept_keys(owner)[0], "bytes", MIB - 2_000)
            async with waiting(chat, conversation.message("a" * 1_000)) as (queued, rest):
                refused = await chat.post(MESSAGE, json=conversation.message("b" * 1_000, stream=False))
                model.go_on.set()
                last = [event async for event in rest][-1]
            await conversation.rest()

    assert (queued.type, last.type) == ("run.queued", "run.completed")
    assert (refused.status_code, refused.json()["code"]) == (409, "chat.kept_too_much")


async def test_what_has_expired_gives_its_room_back(
    open_chat: OpenChat, agent_id: str, person: User, suite: Suite, owner: Owner
) -> None:
    """To its owner, when they write; and to the tenant, where nothing of many others is left."""
    own, tenant, until_key = kept_keys(owner)
    async with open_chat(kept_mib_user=1, kept_mib_tenant=1) as chat, open_redis(suite.url("redis")) as redis:
        chat.headers.update(person.headers)
        old = (await say(chat, agent_id)).json()["conversation_id"]
        full: dict[Any, Any] = {old: MIB, "bytes": MIB}
        await redis.hset(own, mapping=full)
        others: dict[Any, Any] = {f"user {number}": MIB for number in range(2_500)}
        await redis.hset(tenant, mapping=others | {owner.user_id: MIB, "bytes": 2_501 * MIB})
        await redis.zadd(until_key, dict.fromkeys(others, 1))
        await redis.zadd(Keys(owner).conversations, {old: 1})
        answer = await say(chat, agent_id)
        number = await counts(redis, owner)
        total = int(await redis.hget(tenant, "bytes") or 0)
        lies = await held(redis, owner, answer.json()["conversation_id"])

    assert answer.status_code == 200
    assert (number, total) == ((lies, lies), lies)


async def expire(redis: Redis, owner: Owner) -> None:
    """Have Redis forget all of a user's conversations by itself, as their time is over."""
    keys = [key async for key in redis.scan_iter(f"chat:{{{owner.tenant_id}:{owner.user_id}}}:*", count=10_000)]
    for key in keys:
        await redis.pexpire(key, 1)

    async def is_gone() -> bool:
        return await redis.exists(*keys) == 0

    await until(is_gone)


@pytest.mark.parametrize("then", ["deletes", "goes on"])
async def test_whoever_comes_back_after_all_of_theirs_expired_is_not_counted_twice(
    chat: httpx.AsyncClient, agent_id: str, suite: Suite, owner: Owner, then: str
) -> None:
    own, tenant, until_key = kept_keys(owner)
    async with open_redis(suite.url("redis")) as redis:
        await say(chat, agent_id, "Long ago. " * 100)
        await expire(redis, owner)
        conversation_id = (await say(chat, agent_id)).json()["conversation_id"]
        if then == "deletes":
            await chat.delete(f"{CONVERSATIONS}/{conversation_id}")
        lies = await held(redis, owner, conversation_id) if then == "goes on" else 0
        number = await counts(redis, owner)
        total = int(await redis.hget(tenant, "bytes") or 0)
        ends: Any = await redis.pexpiretime(own)
        known = await redis.zscore(until_key, owner.user_id)

    assert (number, total) == ((lies, lies), lies)
    assert known == (ends if lies else None)


async def test_a_share_that_nothing_is_left_of_goes_with_the_last_conversation(
    chat: httpx.AsyncClient, agent_id: str, suite: Suite, owner: Owner
) -> None:
    """Also one that an earlier release left in the tenant's count."""
    _, tenant, _ = kept_keys(owner)
    async with open_redis(suite.url("redis")) as redis:
        conversation_id = (await say(chat, agent_id)).json()["conversation_id"]
        for field in (owner.user_id, "bytes"):
            await redis.hincrby(tenant, field, MIB)
        await chat.delete(f"{CONVERSATIONS}/{conversation_id}")
        left: Any = await redis.hgetall(tenant)

    assert left == {b"bytes": b"0"}


async def test_what_was_written_before_there_was_a_count_is_no_hindrance(
    chat: httpx.AsyncClient, agent_id: str, suite: Suite, owner: Owner
) -> None:
    async with open_redis(suite.url("redis")) as redis:
        conversation_id = (await say(chat, agent_id)).json()["conversation_id"]
        await redis.delete(*kept_keys(owner))
        told = await chat.patch(f"{CONVERSATIONS}/{conversation_id}", json={"metadata": {"a": "b"}})
        expires = [await redis.pttl(key) > 0 for key in kept_keys(owner)]
        anew = await chat.post(f"{CONVERSATIONS}/{conversation_id}/regenerate", json={})
        again = await say(chat, agent_id, conversation_id=conversation_id)
        before = await counts(redis, owner)
        deleted = await chat.delete(f"{CONVERSATIONS}/{conversation_id}")
        after = await counts(redis, owner)

    assert expires == [True] * 3
    assert [told.status_code, anew.status_code, again.status_code, deleted.status_code] == [200, 200, 200, 204]
    assert before[0] == before[1] > 0
    assert after == (0, 0)
