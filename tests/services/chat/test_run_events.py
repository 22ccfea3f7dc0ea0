"""What becomes of runs is told to whoever listens, whatever becomes of the broker or of who publishes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from local.suite import Suite
from services.chat.bounds import Bounds
from services.chat.domain import Owner
from services.chat.runs import outbox as outboxes
from services.chat.runs.leases import MISSED
from services.chat.runs.outbox import Outbox
from services.chat.runs.outbox_scripts import MOST_OF_A_TENANT
from services.chat.runs.repository import RunRepository
from services.chat.storage import Keys
from services.chat.times import now, to_ms
from shared.errors import Unavailable
from shared.messages import Connection, OutboxRelay, OutgoingMessage, Publisher, declare_events, open_connection
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.fixtures.listening import Killed, Listener
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.readiness import until_check
from tests.fixtures.relay import Relay
from tests.fixtures.working_time import working_time
from tests.services.chat.client import OpenChat, events_of
from tests.services.chat.completing import COMPLETIONS, asking
from tests.services.chat.fullness import full
from tests.services.chat.scripts import calls, says
from tests.services.chat.servers import ModelServer, Neighbours
from tests.services.chat.test_tools import WEATHER

MESSAGE, RUNS = "/api/v1/chat/message", "/api/v1/chat/runs"
BOUNDS = Bounds(60_000, 60_000, 60, 10, 10)


@pytest.fixture
async def broker(suite: Suite) -> AsyncIterator[Connection]:
    suite.up(["redis", "redis-cache", "rabbitmq"])
    async with open_connection(suite.url("rabbitmq"), "test") as connection:
        yield connection


@pytest.fixture
async def listener(suite: Suite, broker: Connection) -> AsyncIterator[Listener]:
    async with open_connection(suite.url("rabbitmq"), "test listens") as connection:
        listener = Listener(connection, "run.*.v1")
        listener.consumer.start()
        await listener.is_bound.wait()
        yield listener
        await listener.consumer.aclose()


@pytest.fixture
async def redis(suite: Suite) -> AsyncIterator[Redis]:
    """A database of Redis that no chat knows."""
    suite.up(["redis"])
    async with open_redis(suite.url("redis").removesuffix("/0") + "/9") as redis:
        await redis.flushdb()
        yield redis


@pytest.fixture
def owner() -> Owner:
    return Owner(new_id(), new_id())


async def fail_some(redis: Redis, owner: Owner, count: int) -> list[str]:
    """Runs that were given up, as their process had died."""
    repository, keys, ids = RunRepository(redis, BOUNDS, ""), Keys(owner), [new_id() for _ in range(count)]
    for run_id in ids:
        begun: dict[Any, Any] = {"status": "running", "conversation_id": "c", "created_at": to_ms(now())}
        await redis.hset(keys.run(run_id), mapping=begun | {"missed": MISSED - 1})
        await redis.xadd(keys.events(run_id), {"e": "run.started", "d": "{}"}, id="1-0")
        assert await repository.end_if_abandoned(owner, run_id, "c") == "failed"
    return ids


def opened(redis: Redis) -> Outbox:
    return Outbox(redis, CollectorRegistry())


async def until_empty(relay: OutboxRelay, outbox: Outbox) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await outbox.oldest() is not None:
            with suppress(Unavailable):
                await relay.publish_batch()
            await asyncio.sleep(0.05)


async def test_every_end_is_told_once_and_says_which_run_it_was(
    chat: httpx.AsyncClient, listener: Listener, agent_id: str, model: ModelServer, person: User
) -> None:
    body = {"agent_id": agent_id, "content": "A secret of mine."}
    answered = (await chat.post(MESSAGE, json=body)).json()
    run = (await chat.get(f"{RUNS}/{answered['run_id']}")).json()
    model.refuses = [(400, {"error": {"message": "No."}}, {})]
    refused = (await chat.post(MESSAGE, json=body)).json()
    model.go_on.clear()
    async with chat.stream("POST", MESSAGE, json=body | {"stream": True}) as response:
        begun = await anext(events_of(response))
        await chat.post(f"{RUNS}/{begun.data['run_id']}/cancel")
        await chat.post(f"{RUNS}/{begun.data['run_id']}/cancel")
    model.go_on.set()
    last = (await chat.post(MESSAGE, json=body)).json()  # told after whatever else would be told of the others
    heard = await listener.until(person.tenant_id, 4)

    assert [(name, told["run_id"], told["status"], told["code"]) for name, _, told in heard] == [
        ("run.completed.v1", answered["run_id"], "completed", None),
        ("run.failed.v1", refused["run_id"], "failed", refused["code"]),
        ("run.cancelled.v1", begun.data["run_id"], "cancelled", None),
        ("run.completed.v1", last["run_id"], "completed", None),
    ]
    _, message_id, told = heard[0]
    assert (message_id or "").startswith(f"{run['id']}:")
    assert told.pop("occurred_at")[:10] == run["finished_at"][:10]
    assert told == {
        "run_id": run["id"],
        "conversation_id": run["conversation_id"],
        "agent_id": agent_id,
        "tenant_id": person.tenant_id,
        "user_id": person.user_id,
        "key_id": None,
        "status": "completed",
        "code": None,
        "door": "chat",
        "model": run["model"],
        "finished_at": run["finished_at"],
    }


async def test_a_completion_is_told_with_its_door(chat: httpx.AsyncClient, listener: Listener, person: User) -> None:
    run_id = (await chat.post(COMPLETIONS, json=asking())).json()["run_id"]

    [(name, _, told)] = await listener.until(person.tenant_id, 1)

    assert (name, told["run_id"], told["door"]) == ("run.completed.v1", run_id, "completions")
    assert (told["agent_id"], told["model"]) == (None, "scripted")


async def test_a_run_is_told_to_wait_and_to_end_with_the_key_it_came_with(
    chat: httpx.AsyncClient,
    listener: Listener,
    agent_id: str,
    model: ModelServer,
    neighbours: Neighbours,
    person: User,
    auth: httpx.AsyncClient,
) -> None:
    neighbours.agents[agent_id]["tools"] = ["pay"]
    neighbours.tools = [WEATHER | {"name": "pay", "needs_approval": True}]
    neighbours.tool_results = {"pay": {"content": "Paid."}}
    model.scripted = [calls(("pay", {"city": "Ulm"})), says("It is paid.")]
    wanted = {"name": "one", "scopes": ["chat:read", "chat:write", "agents:read", "vectors:read"]}
    made = (await auth.post("/api/v1/auth/api-keys", json=wanted, headers=person.headers)).raise_for_status().json()
    key = {"X-API-Key": made["key"], "Authorization": ""}

    waiting = (await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Pay."}, headers=key)).json()
    await chat.post(f"{RUNS}/{waiting['run_id']}/approvals/call00001", json={"approve": True})
    heard = await listener.until(person.tenant_id, 2)

    assert [(name, told["status"], told["finished_at"] is None, told["key_id"]) for name, _, told in heard] == [
        ("run.waiting.v1", "requires_action", True, made["id"]),
        ("run.completed.v1", "completed", False, made["id"]),
    ]
    assert [message_id for _, message_id, _ in heard] == [f"{waiting['run_id']}:{number}" for number in (4, 9)]


async def test_a_broker_that_hangs_and_goes_away_holds_up_no_answer(
    suite: Suite, open_chat: OpenChat, listener: Listener, agent_id: str, person: User, redis: Redis
) -> None:
    relay = Relay(suite.url("rabbitmq"))
    own_redis = suite.url("redis").removesuffix("/0") + "/9"
    await relay.open()
    async with open_chat(rabbitmq_url=relay.url, redis_url=own_redis, redis_cache_url=suite.url("redis-cache")) as chat:
        chat.headers.update(person.headers)
        await until_check(chat, "rabbitmq", "pass")
        runs = []
        for happens in (relay.freeze, relay.close):
            if (waits := happens()) is not None:
                await waits
            async with working_time() as took:
                answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello"})
            assert (answer.status_code, took.seconds < 15) == (200, True)
            runs.append(answer.json()["run_id"])
        told = await until_check(chat, "rabbitmq", "warn", code=200)
        assert (told["code"], listener.of(person.tenant_id)) == (200, [])

        relay.thaw()
        await relay.open()
        heard = await listener.until(person.tenant_id, 2)
    await relay.close()

    assert list(dict.fromkeys(told["run_id"] for _, _, told in heard)) == runs


async def test_who_dies_before_it_forgets_leaves_it_to_another(
    redis: Redis, owner: Owner, broker: Connection, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outboxes, "_LEASE_SECONDS", 1)
    await fail_some(redis, owner, 1)
    publisher = Killed(broker, owner.tenant_id)

    dying = asyncio.create_task(OutboxRelay(opened(redis), publisher).publish_batch())
    await publisher.is_published.wait()  # and is heard of no more
    monkeypatch.setattr(outboxes, "_LEASE_SECONDS", 60)  # of whoever comes after it
    await until_empty(OutboxRelay(other := opened(redis), Publisher(broker, declare_events)), other)
    dying.cancel()

    [first_time, again] = await listener.until(owner.tenant_id, 2)
    assert first_time == again


async def test_who_is_stopped_keeps_nobody_waiting(redis: Redis, owner: Owner, broker: Connection) -> None:
    await fail_some(redis, owner, 1)
    publisher = Killed(broker, owner.tenant_id)

    stopped = asyncio.create_task(OutboxRelay(opened(redis), publisher).publish_batch())
    await publisher.is_published.wait()
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped

    assert await redis.exists("chat:outbox:relay") == 0
    assert await OutboxRelay(opened(redis), Publisher(broker, declare_events)).publish_batch() == 1


async def test_a_redis_that_is_full_is_rid_of_what_is_told(
    redis: Redis, owner: Owner, broker: Connection, listener: Listener
) -> None:
    ids = await fail_some(redis, owner, 3)
    async with full(redis):
        await until_empty(OutboxRelay(one := opened(redis), Publisher(broker, declare_events)), one)

    assert [told["run_id"] for _, _, told in await listener.until(owner.tenant_id, 3)] == ids
    assert await redis.keys("chat:outbox*") == [b"chat:outbox"]  # which is empty, and nobody's


async def test_replicas_that_publish_at_once_tell_each_event_once_and_in_order(
    redis: Redis, owner: Owner, broker: Connection, listener: Listener
) -> None:
    ids = await fail_some(redis, owner, 150)
    replicas = [opened(redis) for _ in range(3)]

    await asyncio.gather(*(until_empty(OutboxRelay(one, Publisher(broker, declare_events)), one) for one in replicas))

    heard = await listener.until(owner.tenant_id, len(ids))
    assert [told["run_id"] for _, _, told in heard] == ids
    assert await redis.keys("chat:outbox*") == [b"chat:outbox"]


class Refused(Publisher):
    """Does not get the third confirmed, once."""

    calls = 0

    async def publish(self, message: OutgoingMessage) -> None:
        self.calls += 1
        if self.calls == 3:
            raise Unavailable("rabbitmq")
        await super().publish(message)


async def test_what_follows_one_that_was_not_confirmed_is_told_again_after_it(
    redis: Redis, owner: Owner, broker: Connection, listener: Listener
) -> None:
    ids = await fail_some(redis, owner, 5)
    relay = OutboxRelay(opened(redis), Refused(broker, declare_events))

    with pytest.raises(Unavailable):
        await relay.publish_batch()
    again = await relay.publish_batch()

    heard = [told["run_id"] for _, _, told in await listener.until(owner.tenant_id, 7)]
    assert (again, heard) == (3, [*ids[:2], *ids[3:], *ids[2:]])


async def test_a_tenant_with_too_much_untold_costs_no_other_and_that_is_counted(redis: Redis, owner: Owner) -> None:
    await redis.hset("chat:outbox:waiting", owner.tenant_id, str(MOST_OF_A_TENANT - 1))
    other = Owner(new_id(), new_id())

    await fail_some(redis, owner, 3)
    await fail_some(redis, other, 1)
    registry = CollectorRegistry()
    await Outbox(redis, registry)._count_untold()

    assert await redis.xlen("chat:outbox") == 2
    assert registry.get_sample_value("chat_run_events_untold_total") == 2
    assert await redis.exists("chat:outbox:untold") == 0


async def test_an_event_that_nobody_publishes_is_told(
    suite: Suite, open_chat: OpenChat, redis: Redis, owner: Owner
) -> None:
    await redis.xadd("chat:outbox", {"run": Keys(owner).run("r")}, id="1-0")
    urls = {"redis_url": suite.url("redis").removesuffix("/0") + "/9", "redis_cache_url": suite.url("redis-cache")}
    async with open_chat(rabbitmq_url="amqp://guest:guest@127.0.0.1:9/", **urls) as chat:
        told = await until_check(chat, "outbox", "warn", code=200)
        await redis.delete("chat:outbox")
        await until_check(chat, "outbox", "pass")

    assert told["code"] == 200
