"""Publishing and consuming on the real broker: nothing lost, nothing handled for ever."""

import asyncio
import inspect
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from local.suite import Suite
from shared.errors import Unavailable
from shared.messages import (
    Connection,
    Consumer,
    OutgoingMessage,
    Publisher,
    RetryLater,
    Unroutable,
    declare_dead_letters,
    declare_queue,
    open_connection,
)
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS

MAX_DELIVERIES = 5


@dataclass
class Wiring:
    """An exchange, a queue and its dead letters under a name of their own; remembers what was handled."""

    url: str
    name: str = field(default_factory=lambda: f"test-{secrets.token_hex(4)}")
    handled: list[str] = field(default_factory=list)
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def topology(self, channel: AbstractChannel) -> None:
        exchange = await channel.declare_exchange(self.name, ExchangeType.DIRECT, durable=True)
        dead = await channel.declare_exchange(f"{self.name}.dead", ExchangeType.FANOUT, durable=True)
        await declare_dead_letters(channel, f"{self.name}.dead", exchange=dead)
        await declare_queue(
            channel, self.name, exchange=exchange, routing_key="q", dead_letters=dead, max_deliveries=MAX_DELIVERIES
        )

    async def handle(self, message: AbstractIncomingMessage) -> None:
        body = message.body.decode()
        self.handled.append(body)
        match body:
            case "later":
                raise RetryLater
            case "poison":
                raise ValueError(body)
            case "hold":
                self.holding.set()
                await self.release.wait()

    def message(self, body: str, routing_key: str = "q") -> OutgoingMessage:
        return OutgoingMessage(secrets.token_hex(8), self.name, routing_key, body.encode())

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[Publisher, Connection]]:
        async with open_connection(self.url, "test") as connection:
            yield Publisher(connection, self.topology), connection

    @asynccontextmanager
    async def consuming(self, prefetch: int = 10) -> AsyncIterator[Consumer]:
        async with open_connection(self.url, "test consumer") as connection:
            consumer = Consumer(connection, self.topology, self.name, self.handle, prefetch=prefetch)
            consumer.start()
            yield consumer
            await consumer.aclose()


@pytest.fixture
def wiring(suite: Suite, patient_publishing: None) -> Wiring:
    suite.up(["rabbitmq"])
    return Wiring(suite.url("rabbitmq"))


async def until(condition: Any, seconds: float = PATIENCE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not (await condition() if inspect.iscoroutinefunction(condition) else condition()):  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.02)


async def publish_persistently(publisher: Publisher, message: OutgoingMessage) -> None:
    """As a relay does: until the broker has confirmed."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                async with asyncio.timeout(5):  # what was under way to a queue that was deleted is not confirmed
                    return await publisher.publish(message)
            except (Unavailable, Unroutable, TimeoutError):
                await asyncio.sleep(0.6)


async def test_what_is_published_is_handled_and_acknowledged(wiring: Wiring) -> None:
    async with wiring.connected() as (publisher, connection), wiring.consuming():
        await asyncio.gather(*(publisher.publish(wiring.message(str(n))) for n in range(100)))

        await until(lambda: len(wiring.handled) == 100)
    async with wiring.connected() as (publisher, connection):
        assert await connection.count_ready(wiring.name) == 0
    assert sorted(map(int, wiring.handled)) == list(range(100))


async def test_a_message_that_is_always_put_back_is_dead_after_exactly_its_deliveries(wiring: Wiring) -> None:
    async with wiring.connected() as (publisher, connection), wiring.consuming():
        await publisher.publish(wiring.message("later"))

        async def is_dead() -> bool:
            return await connection.count_ready(f"{wiring.name}.dead") == 1

        await until(is_dead)

    assert wiring.handled == ["later"] * MAX_DELIVERIES


async def test_a_message_nobody_can_take_is_dead_at_once(wiring: Wiring) -> None:
    async with wiring.connected() as (publisher, connection), wiring.consuming():
        await publisher.publish(wiring.message("poison"))

        async def is_dead() -> bool:
            return await connection.count_ready(f"{wiring.name}.dead") == 1

        await until(is_dead)

    assert wiring.handled == ["poison"]


async def test_a_letter_stays_however_often_it_is_looked_at(wiring: Wiring) -> None:
    async with wiring.connected() as (publisher, connection), wiring.consuming():
        await publisher.publish(wiring.message("poison"))

        async with (await connection.ready()).channel() as channel:
            letters = await channel.get_queue(f"{wiring.name}.dead")
            for _ in range(25):
                await (await eventually_get(letters)).reject(requeue=True)
            kept = await eventually_get(letters)

    assert kept.body == b"poison"


async def test_dead_letters_declared_otherwise_before_are_taken_as_they_are(wiring: Wiring) -> None:
    arguments: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": 7}
    async with wiring.connected() as (publisher, connection):
        async with (await connection.ready()).channel() as channel:
            await channel.declare_queue(f"{wiring.name}.dead", durable=True, arguments=arguments)

        async with wiring.consuming():
            await publisher.publish(wiring.message("poison"))

            async def is_dead() -> bool:
                return await connection.count_ready(f"{wiring.name}.dead") == 1

            await until(is_dead)


async def eventually_get(queue: AbstractQueue) -> AbstractIncomingMessage:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (message := await queue.get(fail=False)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # it is on its way there, or back
    return message


async def test_a_message_without_a_queue_is_said_to_be_unroutable(wiring: Wiring) -> None:
    async with wiring.connected() as (publisher, _):
        with pytest.raises(Unroutable):
            await publisher.publish(wiring.message("x", routing_key="nowhere"))

        await publisher.publish(wiring.message("still works"))


async def test_a_message_for_an_unknown_exchange_harms_no_other(wiring: Wiring) -> None:
    """The broker closes the channel that names an unknown exchange, and with it whatever else is under way there."""
    astray = OutgoingMessage("astray", f"{wiring.name}.nowhere", "q", b"")
    async with wiring.connected() as (publisher, connection):
        opened = await connection.ready()

        mixed = [message for n in range(50) for message in (wiring.message(str(n)), astray)]
        outcomes = await asyncio.gather(*map(publisher.publish, mixed), return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [type(None), Unroutable] * 50
        assert await connection.ready() is opened
        assert await connection.count_ready(wiring.name) == 50


async def test_without_a_broker_publishing_ends_within_its_timeout() -> None:
    wiring = Wiring("amqp://127.0.0.1:1/")
    async with wiring.connected() as (publisher, connection):
        with pytest.raises(Unavailable, match="rabbitmq"):
            async with asyncio.timeout(PATIENCE_SECONDS):  # else it would wait for a broker for ever
                await publisher.publish(wiring.message("x"))

        with pytest.raises(Unavailable):
            await connection.ping()


async def test_a_deleted_queue_is_made_anew_and_consumed(wiring: Wiring) -> None:
    async with wiring.connected() as (publisher, connection), wiring.consuming():
        await publisher.publish(wiring.message("before"))
        await until(lambda: "before" in wiring.handled)
        async with (await connection.ready()).channel() as channel:
            await channel.queue_delete(wiring.name)

        await publish_persistently(publisher, wiring.message("after"))

        await until(lambda: "after" in wiring.handled)


async def test_what_nobody_expects_of_the_driver_ends_no_consumer(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    topology, failed = wiring.topology, asyncio.Event()

    async def fails_once(channel: AbstractChannel) -> None:
        if not failed.is_set():
            failed.set()
            raise KeyError("of the driver")
        await topology(channel)

    async with wiring.connected() as (publisher, _):
        monkeypatch.setattr(wiring, "topology", fails_once)
        async with wiring.consuming() as consumer, asyncio.timeout(PATIENCE_SECONDS):
            await failed.wait()
            await publisher.publish(wiring.message("hold"))
            await wiring.holding.wait()
            wiring.release.set()
            await consumer.stop()


async def test_a_restarted_broker_loses_no_message_and_no_consumer(wiring: Wiring, suite: Suite) -> None:
    async with wiring.connected() as (publisher, _), wiring.consuming():
        await publisher.publish(wiring.message("hold"))
        await wiring.holding.wait()

        await asyncio.to_thread(suite.stop, "rabbitmq")
        await asyncio.to_thread(suite.start, "rabbitmq")
        await publish_persistently(publisher, wiring.message("after"))

        await until(lambda: "after" in wiring.handled)
        wiring.release.set()
        await until(lambda: wiring.handled.count("hold") == 2)  # not acknowledged, so delivered again


async def test_a_lost_connection_is_closed_and_another_opened(wiring: Wiring) -> None:
    async with wiring.connected() as (_, connection):
        first: Any = await connection.ready()
        await first.transport.connection.close()
        await until(lambda: not connection.is_up or first.is_closed)

        second = await connection.ready()

    assert second is not first
    assert (first.is_closed, second.is_closed) == (True, True)


async def test_a_consumer_that_ends_settles_what_it_holds(wiring: Wiring) -> None:
    async with wiring.connected() as (publisher, connection):
        await publisher.publish(wiring.message("hold"))
        async with wiring.consuming(prefetch=1) as consumer:
            await wiring.holding.wait()
            await publisher.publish(wiring.message("not for me"))
            await consumer.stop()
            wiring.release.set()

        assert await connection.count_ready(wiring.name) == 1
        assert wiring.handled == ["hold"]


async def test_the_queues_are_what_the_guarantees_say(wiring: Wiring, suite: Suite) -> None:
    async with wiring.connected() as (publisher, _):
        await publisher.publish(wiring.message("x"))

    secrets_, port = suite.secrets, suite.site.ports["rabbitmq_management"]
    async with httpx.AsyncClient(
        auth=(secrets_.rabbitmq_user, secrets_.rabbitmq_password), timeout=PATIENCE_SECONDS, verify=authorities()
    ) as client:
        queue = (await client.get(f"http://127.0.0.1:{port}/api/queues/sutazai/{wiring.name}")).json()

    assert queue["durable"]
    assert queue["arguments"] == {
        "x-queue-type": "quorum",
        "x-delivery-limit": MAX_DELIVERIES - 1,
        "x-dead-letter-exchange": f"{wiring.name}.dead",
        "x-dead-letter-routing-key": wiring.name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
