"""What a service tells auth: off the path of a request, through a broker that is away, counted where it is lost."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

import orjson
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from prometheus_client import CollectorRegistry

from local.suite import Suite
from shared.identity import DEED_DONE, Caller, declare_deeds, telling
from shared.messages import EVENTS_EXCHANGE, Connection, Consumer, open_connection

NOWHERE = "amqp://guest:guest@127.0.0.1:1/"
ADA = Caller(
    subject="ada",
    tenant_id="tenant",
    scopes=frozenset(),
    token_id="token",
    issued_at=0.0,
    expires_at=0.0,
    token="",
    actor="service:tasks",
    key_id="key",
)


class Heard:
    """What arrives, in a queue of its own beside auth's."""

    def __init__(self, connection: Connection) -> None:
        self.bodies: list[dict[str, object]] = []
        self.ids: list[str | None] = []
        self.is_bound = asyncio.Event()
        self._queue = f"test-{secrets.token_hex(4)}"
        self.consumer = Consumer(connection, self._topology, self._queue, self._handle, prefetch=10)

    async def _topology(self, channel: AbstractChannel) -> None:
        await declare_deeds(channel)
        queue = await channel.declare_queue(self._queue, exclusive=True, auto_delete=True)
        await queue.bind(EVENTS_EXCHANGE, DEED_DONE)
        self.is_bound.set()

    async def _handle(self, message: AbstractIncomingMessage) -> None:
        self.bodies.append(orjson.loads(message.body))
        self.ids.append(message.message_id)

    def targets(self) -> list[object]:
        return [body["target"] for body in self.bodies]

    async def until(self, target: str) -> None:
        give_up_at = time.monotonic() + 20
        while True:
            if target in self.targets():
                return
            assert time.monotonic() < give_up_at
            await asyncio.sleep(0.05)


@pytest.fixture
async def heard(suite: Suite) -> AsyncIterator[Heard]:
    suite.up(["rabbitmq"])
    async with open_connection(suite.url("rabbitmq"), "test hears") as connection:
        heard = Heard(connection)
        heard.consumer.start()
        async with asyncio.timeout(20):
            await heard.is_bound.wait()
        yield heard
        await heard.consumer.aclose()


def untold(registry: CollectorRegistry) -> float:
    return registry.get_sample_value("deeds_untold_total") or 0.0


async def test_a_deed_is_told_with_both_names_and_the_key(suite: Suite, heard: Heard) -> None:
    mark = secrets.token_hex(4)
    async with telling(suite.url("rabbitmq"), "test", CollectorRegistry()) as teller:
        teller.tell(ADA, "agent.deleted", mark, once=mark, count=2)
        await heard.until(mark)

    body = next(one for one in heard.bodies if one["target"] == mark)
    assert body.items() >= {"actor": "ada", "act": "service:tasks", "key_id": "key", "tenant_id": "tenant"}.items()
    assert (body["action"], body["details"]) == ("agent.deleted", {"count": 2})
    assert f"agent.deleted:{mark}" in heard.ids


async def test_a_service_that_stops_tells_the_last_of_it_first(suite: Suite, heard: Heard) -> None:
    marks = [secrets.token_hex(4) for _ in range(200)]

    async with telling(suite.url("rabbitmq"), "test", CollectorRegistry()) as teller:
        for mark in marks:
            teller.tell(ADA, "agent.deleted", mark)
    await heard.until(marks[-1])

    assert [target for target in heard.targets() if target in marks] == marks


async def test_nobody_waits_for_a_broker_that_is_away_and_what_is_lost_is_counted() -> None:
    registry = CollectorRegistry()
    started = time.monotonic()
    async with telling(NOWHERE, "test", registry) as teller:
        for number in range(10_007):
            teller.tell(ADA, "agent.deleted", str(number))
        seconds = time.monotonic() - started
        beyond = untold(registry)

    assert seconds < 5
    assert (beyond, untold(registry)) == (7, 10_007)
