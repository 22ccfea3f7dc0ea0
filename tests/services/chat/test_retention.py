"""A tenant's conversations are kept for as long as its operator says."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from redis.asyncio import Redis

from local.suite import Suite
from services.chat.bounds import Bounds
from services.chat.conversations.repository import ConversationRepository
from services.chat.conversations.retention import Retention
from services.chat.domain import Owner
from services.chat.errors import ConversationNotFound
from services.chat.keeping import kept_keys
from services.chat.settings import Settings
from services.chat.storage import RETENTION, Keys
from services.chat.summaries.domain import Summary
from services.chat.summaries.repository import SummaryRepository
from services.chat.times import now, to_ms
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.apps import build_app
from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat, until

MESSAGE = "/api/v1/chat/message"
CONVERSATIONS = "/api/v1/chat/conversations"
DAY = 86_400


@pytest.fixture
def store(suite: Suite) -> str:
    """A database in which no other replica applies times of its own."""
    suite.up(["redis"])
    return urlsplit(suite.url("redis"))._replace(path="/9").geturl()


async def begin(chat: httpx.AsyncClient, agent_id: str) -> str:
    answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello"})
    return str(answer.json()["conversation_id"])


def names_of(owner: Owner, conversation_id: str) -> list[str]:
    keys = Keys(owner)
    return [
        keys.conversation(conversation_id),
        keys.messages(conversation_id),
        keys.words(conversation_id),
        keys.summary(conversation_id),
    ]


async def summarise(redis: Redis, owner: Owner, conversation_id: str) -> None:
    """Keep a summary that ends with one of its messages."""
    words: Any = await redis.hkeys(Keys(owner).words(conversation_id))
    message_id = next(name.decode() for name in words if name != b"title")
    await SummaryRepository(redis).keep(owner, conversation_id, Summary("They greet each other.", message_id))


async def applied(redis: Redis, days: int, by_tenant: dict[str, int]) -> None:
    """A whole look at all conversations with these times."""
    ms = {tenant_id: of * DAY * 1000 for tenant_id, of in by_tenant.items()}
    bounds = Bounds(days * DAY * 1000, 0, 0, 0, 0, retention_ms_by_tenant=ms)
    await redis.delete(RETENTION)
    retention = Retention(redis, bounds)
    while not int(await redis.hget(RETENTION, "done_at") or 0):
        await retention.step()


async def test_a_tenant_has_a_time_of_its_own(open_chat: OpenChat, agent_id: str, person: User, suite: Suite) -> None:
    owner = Owner(person.tenant_id, person.user_id)
    async with (
        open_chat(retention_days_by_tenant={person.tenant_id: 3}) as own,
        open_chat(retention_days_by_tenant={new_id(): 3}) as other,
        open_redis(suite.url("redis")) as redis,
    ):
        own.headers.update(person.headers)
        other.headers.update(person.headers)
        conversation_id = await begin(own, agent_id)
        await summarise(redis, owner, conversation_id)
        seconds = [await redis.ttl(name) for name in names_of(owner, conversation_id)]
        told = [(await chat.get(f"{CONVERSATIONS}/{conversation_id}")).json() for chat in (own, other)]
        listed = (await own.get(CONVERSATIONS)).json()["items"]

    assert all(2 * DAY < one <= 3 * DAY for one in seconds)
    kept = [datetime.fromisoformat(one["expires_at"]) - datetime.fromisoformat(one["last_activity_at"]) for one in told]
    assert kept == [timedelta(days=3), timedelta(days=90)]
    assert listed == [told[0]]


@pytest.mark.parametrize("days", [3, 200])
async def test_what_is_there_already_follows_another_time(
    open_chat: OpenChat, agent_id: str, person: User, store: str, days: int
) -> None:
    owner, by_tenant = Owner(person.tenant_id, person.user_id), {person.tenant_id: days}
    async with open_chat(redis_url=store) as chat:
        chat.headers.update(person.headers)
        conversation_id = await begin(chat, agent_id)
    async with open_redis(store) as redis:
        await summarise(redis, owner, conversation_id)
        await applied(redis, 90, by_tenant)
        names = [*names_of(owner, conversation_id), Keys(owner).conversations, kept_keys(owner)[0]]
        seconds = [await redis.ttl(name) for name in names]
        ends: Any = await redis.pexpiretime(kept_keys(owner)[0])
        known = await redis.zscore(kept_keys(owner)[2], owner.user_id)

    assert known == ends
    assert all((days - 1) * DAY < one <= days * DAY for one in seconds)


async def test_what_a_shorter_time_leaves_no_time_for_is_forgotten_with_all_its_messages(
    open_chat: OpenChat, agent_id: str, person: User, store: str
) -> None:
    """And is not to be seen before."""
    owner, by_tenant = Owner(person.tenant_id, person.user_id), {person.tenant_id: 3}
    async with open_chat(redis_url=store) as chat:
        chat.headers.update(person.headers)
        old, young = await begin(chat, agent_id), await begin(chat, agent_id)
    async with open_redis(store) as redis:
        await summarise(redis, owner, old)
        before = to_ms(now()) - 5 * DAY * 1000
        await redis.zadd(Keys(owner).conversations, {old: before})
        await redis.hset(Keys(owner).conversation(old), "last_activity_at", before)
        bounds = Bounds(90 * DAY * 1000, 0, 0, 0, 0, retention_ms_by_tenant={person.tenant_id: 3 * DAY * 1000})
        with pytest.raises(ConversationNotFound):
            await ConversationRepository(redis, bounds).get(owner, old)
        was_there = await redis.exists(*names_of(owner, old))
        await applied(redis, 90, by_tenant)
        left = await redis.exists(*names_of(owner, old))
        counted: Any = await redis.hgetall(kept_keys(owner)[0])
        listed = await redis.zrange(Keys(owner).conversations, 0, -1)

    assert (was_there, left) == (4, 0)
    assert set(counted) == {young.encode(), b"bytes"}
    assert counted[young.encode()] == counted[b"bytes"]
    assert listed == [young.encode()]


async def test_a_replica_applies_its_times_when_it_starts(
    open_chat: OpenChat, agent_id: str, person: User, store: str
) -> None:
    owner = Owner(person.tenant_id, person.user_id)
    async with open_chat(redis_url=store) as chat:
        chat.headers.update(person.headers)
        conversation_id = await begin(chat, agent_id)
    async with (
        open_chat(redis_url=store, retention_days_by_tenant={person.tenant_id: 3}),
        open_redis(store) as redis,
    ):

        async def is_applied() -> bool:
            return await redis.ttl(Keys(owner).messages(conversation_id)) <= 3 * DAY

        await until(is_applied)


async def test_more_than_are_looked_at_at_once_follow(person: User, store: str) -> None:
    owner, ids = Owner(person.tenant_id, person.user_id), [new_id() for _ in range(450)]
    async with open_redis(store) as redis:
        async with redis.pipeline(transaction=False) as pipeline:
            for at, conversation_id in enumerate(ids):
                pipeline.hset(Keys(owner).conversation(conversation_id), "title", "Hello")
                pipeline.zadd(Keys(owner).conversations, {conversation_id: to_ms(now()) - at})
            await pipeline.execute()
        await applied(redis, 90, {person.tenant_id: 3})
        seconds = [await redis.ttl(Keys(owner).conversation(conversation_id)) for conversation_id in ids]

    assert all(2 * DAY < one <= 3 * DAY for one in seconds)


async def test_a_look_that_was_broken_off_goes_on_elsewhere_and_one_that_is_done_is_not_made_again(
    store: str,
) -> None:
    bounds = Bounds(17 * DAY * 1000, 0, 0, 0, 0)
    async with open_redis(store) as redis:
        await redis.delete(RETENTION)
        await Retention(redis, bounds).step()
        state: Any = await redis.hgetall(RETENTION)
        await redis.hset(RETENTION, mapping={"cursor": 0, "done_at": to_ms(now()) - 1})
        before: Any = await redis.hgetall(RETENTION)
        await Retention(redis, bounds).step()
        after: Any = await redis.hgetall(RETENTION)
        await Retention(redis, Bounds(18 * DAY * 1000, 0, 0, 0, 0)).step()
        other: Any = await redis.hget(RETENTION, "of")

    assert before == after
    assert state[b"of"] == after[b"of"] != other


@pytest.mark.parametrize("days", [{"a-name": 3}, {"01890a5d-ac96-774b-bcce-b302099a8057": 0}], ids=["name", "never"])
def test_what_is_no_tenant_or_no_time_stops_the_start(suite: Suite, days: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="retention_days_by_tenant"):
        build_app(suite, "chat", retention_days_by_tenant=days, llm_url="http://127.0.0.1:1/v1")


def test_the_setting_is_read_from_the_environment(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in suite.environment("chat").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RETENTION_DAYS_BY_TENANT", '{"01890a5d-ac96-774b-bcce-b302099a8057": 30}')

    bounds = Bounds.of(Settings())

    assert bounds.retention_of(Owner("01890a5d-ac96-774b-bcce-b302099a8057", new_id())) == 30 * DAY * 1000
    assert bounds.retention_of(Owner(new_id(), new_id())) == 90 * DAY * 1000
