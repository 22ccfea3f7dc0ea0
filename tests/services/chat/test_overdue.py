"""A conversation whose time is over, as its tenant's was made shorter, is gone before the sweep comes to it."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from local.suite import Suite
from services.chat.bounds import Bounds
from services.chat.domain import Agent, Message, Owner, Turn
from services.chat.errors import ConversationNotFound
from services.chat.keeping import KeptLimits, kept_keys
from services.chat.runs.queue import QueueRepository
from services.chat.storage import RETENTION, Keys
from services.chat.times import now, to_ms
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat, until

MESSAGE = "/api/v1/chat/message"
CONVERSATIONS = "/api/v1/chat/conversations"
DAY_MS = 86_400_000
MIB = 2**20


@pytest.fixture
def store(suite: Suite) -> str:
    """A database in which no other replica looks at conversations."""
    suite.up(["redis"])
    return urlsplit(suite.url("redis"))._replace(path="/9").geturl()


async def test_nobody_reads_it_or_goes_on_with_it(open_chat: OpenChat, agent_id: str, person: User, store: str) -> None:
    """At the bound too, where what is old is forgotten at once: nothing is written into what is no more."""
    owner = Owner(person.tenant_id, person.user_id)
    async with open_chat(redis_url=store, kept_mib_user=1) as chat, open_redis(store) as redis:
        chat.headers.update(person.headers)

        async def is_looked_at() -> bool:
            return int(await redis.hget(RETENTION, "done_at") or 0) > 0

        await until(is_looked_at)
        body: dict[str, Any] = {"agent_id": agent_id, "content": "Hello"}
        old = (await chat.post(MESSAGE, json=body)).json()["conversation_id"]
        young = (await chat.post(MESSAGE, json=body)).json()["conversation_id"]
        path = f"{CONVERSATIONS}/{old}"
        message_id = (await chat.get(f"{path}/messages")).json()["items"][-1]["id"]
        before = to_ms(now()) - 91 * DAY_MS
        await redis.zadd(Keys(owner).conversations, {old: before})
        await redis.hset(Keys(owner).conversation(old), "last_activity_at", before)
        await redis.hset(kept_keys(owner)[0], "bytes", MIB)
        answers = [
            await chat.get(path),
            await chat.get(f"{path}/messages"),
            await chat.post(MESSAGE, json=body | {"conversation_id": old}),
            await chat.post(MESSAGE, json=body | {"conversation_id": old, "on_busy": "enqueue"}),
            await chat.post(f"{path}/regenerate", json={}),
            await chat.post(f"{path}/fork", json={"message_id": message_id}),
        ]
        listed = await chat.get(CONVERSATIONS)

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (404, "chat.conversation_not_found")
    ] * len(answers)
    assert [one["id"] for one in listed.json()["items"]] == [young]


async def test_no_message_begins_to_wait_in_it(person: User, store: str) -> None:
    """Whose time is over just when it is found busy."""
    owner, conversation_id, run_id = Owner(person.tenant_id, person.user_id), new_id(), new_id()
    question = Message(new_id(), run_id, "user", "Hello", [], now())
    turn = Turn(run_id, conversation_id, False, owner, Agent("a", "", None, ()), question, "token", "m")
    bounds = Bounds(90 * DAY_MS, 60_000, 60, 10, 10, kept=KeptLimits(user=1))
    async with open_redis(store) as redis:
        await redis.hset(Keys(owner).conversation(conversation_id), "agent_id", "a")
        await redis.zadd(Keys(owner).conversations, {conversation_id: to_ms(now()) - 91 * DAY_MS})
        with pytest.raises(ConversationNotFound):
            await QueueRepository(redis, bounds, "inbox").enqueue(turn, None)
        left = await redis.exists(Keys(owner).queue(conversation_id), Keys(owner).run(run_id))

    assert left == 0
