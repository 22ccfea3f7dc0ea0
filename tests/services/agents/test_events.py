"""Events of agents: told of every change that was committed, whatever becomes of the broker or of who publishes."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from neo4j import AsyncManagedTransaction

from local.suite import Suite
from services.agents import outbox as outboxes
from services.agents.graph import Graph
from services.agents.outbox import Outbox
from shared.errors import Unavailable
from shared.messages import (
    Connection,
    OutboxRelay,
    OutgoingMessage,
    Publisher,
    declare_events,
    open_connection,
)
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.listening import Killed, Listener
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.readiness import until_check
from tests.fixtures.relay import Relay
from tests.services.agents.conftest import AGENTS, PATIENT
from tests.services.agents.planting import plant
from tests.services.agents.test_repository import Tenant, some_agent

ONE = {"name": "Clerk", "instructions": "A secret of the trade."}


@pytest.fixture
async def broker(suite: Suite, patient_publishing: None) -> AsyncIterator[Connection]:
    suite.up(["neo4j", "redis-cache", "rabbitmq"])
    async with open_connection(suite.url("rabbitmq"), "test") as connection:
        yield connection


@pytest.fixture
async def listener(suite: Suite, broker: Connection) -> AsyncIterator[Listener]:
    async with open_connection(suite.url("rabbitmq"), "test listens") as connection:
        listener = Listener(connection, "agent.*.v1")
        listener.consumer.start()
        await listener.is_bound.wait()
        yield listener
        await listener.consumer.aclose()


@pytest.fixture
def tenant(patient_graph: Graph) -> Tenant:
    return Tenant(patient_graph)


@pytest.fixture
async def owner(register_user: RegisterUser) -> User:
    return await register_user()


async def done(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


async def test_every_change_is_told_once_and_nothing_else(
    service_client: ServiceClient, listener: Listener, owner: User
) -> None:
    async with service_client("agents", **PATIENT) as client:
        client.headers.update(owner.headers)
        agent = await done(await client.post(f"{AGENTS}/create", json=ONE))
        path = f"{AGENTS}/{agent['id']}"
        assert (await client.post(f"{AGENTS}/create", json=ONE)).status_code == 409
        await done(await client.patch(path, json={"model": "m"}))
        await done(await client.patch(path, json={"model": "m"}))
        await done(await client.post(f"{path}/versions/1/restore"))
        document = (await done(await client.get(f"{path}/export"))) | {"relations": []}
        document["agent"]["name"] = "Copy"
        copy = (await done(await client.post(f"{AGENTS}/import", json=document)))["agent"]
        assert (await client.delete(path, headers={"If-Match": '"1"'})).status_code == 412
        await done(await client.delete(path))
        heard = await listener.until(owner.tenant_id, 5)

    assert [(name, body["agent_id"], body["version"]) for name, _, body in heard] == [
        ("agent.created.v1", agent["id"], 1),
        ("agent.updated.v1", agent["id"], 2),
        ("agent.updated.v1", agent["id"], 3),
        ("agent.created.v1", copy["id"], 1),
        ("agent.deleted.v1", agent["id"], 3),
    ]
    assert heard[0][2] == {
        "agent_id": agent["id"],
        "tenant_id": owner.tenant_id,
        "name": "Clerk",
        "version": 1,
        "updated_at": agent["updated_at"],
        "by": owner.user_id,
    }


async def test_a_repetition_is_told_once(service_client: ServiceClient, listener: Listener, owner: User) -> None:
    async with service_client("agents", **PATIENT) as client:
        headers = owner.headers | {"Idempotency-Key": new_id()}
        for _ in range(3):
            await done(await client.post(f"{AGENTS}/create", json=ONE, headers=headers))
        await done(await client.post(f"{AGENTS}/create", json=ONE | {"name": "Last"}, headers=owner.headers))
        heard = await listener.until(owner.tenant_id, 2)

    assert [body["name"] for _, _, body in heard] == ["Clerk", "Last"]


async def test_a_broker_that_hangs_and_goes_away_holds_up_no_change(
    suite: Suite, service_client: ServiceClient, listener: Listener, owner: User
) -> None:
    made = set[str]()

    def told_of() -> set[str]:
        return {body["name"] for _, _, body in listener.of(owner.tenant_id)}

    relay = Relay(suite.url("rabbitmq"))
    await relay.open()
    async with service_client("agents", rabbitmq_url=relay.url, **PATIENT) as client:
        await until_check(client, "rabbitmq", "pass")
        for number, happens in enumerate([relay.freeze, relay.close]):
            if (waits := happens()) is not None:
                await waits
            took = []
            for name in (f"Clerk {number}", f"Clerk {number} again", f"Clerk {number} at last"):
                started = time.monotonic()
                await done(await client.post(f"{AGENTS}/create", json=ONE | {"name": name}, headers=owner.headers))
                took.append(time.monotonic() - started)
                made.add(name)
            assert min(took) < 5  # the machine may stand still during one
        told = await until_check(client, "rabbitmq", "warn", code=200)
        assert told["code"] == 200

        relay.thaw()
        await relay.open()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while told_of() != made:  # noqa: ASYNC110 - in any order, and some twice: two processes tell
                await asyncio.sleep(0.05)
    await relay.close()


async def until_empty(relay: OutboxRelay, outbox: Outbox) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await outbox.oldest() is not None:
            with suppress(Unavailable):
                await relay.publish_batch()
            await asyncio.sleep(0.05)


async def until_held(relay: OutboxRelay, outbox: Outbox) -> None:
    """Empty, and nobody else publishes what comes: the suite may have an agents service on the same graph."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await is_held(outbox) or await outbox.oldest() is not None:
            await until_empty(relay, outbox)
            await outbox.claim(1)


async def is_held(outbox: Outbox) -> bool:
    """Whether it is this one that publishes: to claim is in vain while another does, though there may be nothing."""

    async def work(transaction: AsyncManagedTransaction) -> bool:
        held = await transaction.run("MATCH (l:OutboxLease {service: 'agents'}) RETURN l.held_by AS by")
        return [outbox._holder] == await held.value("by")

    return await outbox._graph.read(work)


async def test_who_dies_before_it_deletes_leaves_it_to_another(
    tenant: Tenant, broker: Connection, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(tenant.graph)
    await until_held(OutboxRelay(outbox, Publisher(broker, declare_events)), outbox)
    await tenant.write("create", some_agent(), "somebody")
    publisher = Killed(broker, tenant.id)

    monkeypatch.setattr(outboxes, "_LEASE_SECONDS", 1)
    dying = asyncio.create_task(OutboxRelay(outbox, publisher).publish_batch())
    await publisher.is_published.wait()
    dying.cancel()
    monkeypatch.setattr(outboxes, "_LEASE_SECONDS", 30)  # nobody takes it from the next one, if it is slow
    await until_empty(OutboxRelay(other := Outbox(tenant.graph), Publisher(broker, declare_events)), other)

    [first_time, again] = await listener.until(tenant.id, 2)
    assert first_time == again


class Refused(Publisher):
    """Does not get the third confirmed, once."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, declare_events)
        self.calls = 0

    async def publish(self, message: OutgoingMessage) -> None:
        self.calls += 1
        if self.calls == 3:
            raise Unavailable("rabbitmq")
        await super().publish(message)


async def test_what_follows_one_that_was_not_confirmed_is_told_again_after_it(
    tenant: Tenant, broker: Connection, listener: Listener
) -> None:
    outbox = Outbox(tenant.graph)
    await until_held(OutboxRelay(outbox, Publisher(broker, declare_events)), outbox)
    agents = [some_agent() for _ in range(5)]
    for agent in agents:
        await tenant.write("create", agent, "somebody")
    relay = OutboxRelay(outbox, Refused(broker))

    with pytest.raises(Unavailable):
        await relay.publish_batch()
    await relay.publish_batch()  # unless the suite's own service was first: what failed let go of the outbox

    heard = [body["agent_id"] for _, _, body in await listener.until(tenant.id, 7)]
    ids = [agent.id for agent in agents]
    assert heard == [*ids[:2], *ids[3:], *ids[2:]]


async def test_one_replica_publishes_at_a_time(tenant: Tenant, broker: Connection) -> None:
    one, other = Outbox(tenant.graph), Outbox(tenant.graph)
    after: Sequence[OutgoingMessage] = []
    while not after:  # unless the suite's own service was first to take what was let go of
        await until_held(OutboxRelay(one, Publisher(broker, declare_events)), one)
        await tenant.write("create", some_agent(), "somebody")

        [claimed] = await one.claim(10)
        while_held = await other.claim(10)
        again = await one.claim(10)
        await one.settle([])
        after = await other.claim(10)

        assert (while_held, again) == ([], [claimed])
    await other.settle(after)

    assert after == [claimed]
    assert await one.oldest() is None


async def test_replicas_that_publish_at_once_tell_each_event_once_and_in_order(
    tenant: Tenant, broker: Connection, listener: Listener
) -> None:
    agents = [some_agent() for _ in range(30)]
    for agent in agents:
        await tenant.write("create", agent, "somebody")
    replicas = [Outbox(tenant.graph) for _ in range(3)]

    await asyncio.gather(*(until_empty(OutboxRelay(one, Publisher(broker, declare_events)), one) for one in replicas))

    heard = await listener.until(tenant.id, len(agents))
    assert [body["agent_id"] for _, _, body in heard] == [agent.id for agent in agents]


async def test_what_is_rolled_back_is_not_told(tenant: Tenant) -> None:
    class Broken(Exception):
        pass

    async def work(transaction: Any) -> None:
        await tenant._call(transaction, "create", (some_agent(), "somebody"))
        raise Broken

    with pytest.raises(Broken):
        await tenant.graph.write(work)

    waiting = "MATCH (e:OutboxEvent) WHERE e.body CONTAINS $tenant_id RETURN count(e)"
    assert await tenant.query(waiting) == [[0]]


async def test_an_event_that_nobody_publishes_is_told(
    service_client: ServiceClient, graph: Graph, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.up(["redis-cache"])
    monkeypatch.setattr(outboxes, "_LEASE_SECONDS", 300)
    event = {"id": new_id(), "name": "x", "body": "{}", "headers": "{}", "created_at": long_ago()}
    async with service_client("agents", rabbitmq_url="amqp://guest:guest@127.0.0.1:9/") as client:
        held = Outbox(graph)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await is_held(held):  # from the suite's own service, if it has one
                await held.claim(1)
        await plant(graph, "MATCH (e:OutboxEvent) DELETE e")
        await plant(graph, "CREATE (e:OutboxEvent) SET e = $event", event=event)
        told = await until_check(client, "outbox", "warn", code=200)
        await plant(graph, "MATCH (e:OutboxEvent {id: $id}) DELETE e", id=event["id"])
        await held.settle([])
        await until_check(client, "outbox", "pass")

    assert (told["code"], told["detail"].startswith("the oldest message has waited 3")) == (200, True)


def long_ago() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=5)
