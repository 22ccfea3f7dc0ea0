"""Hears events in every replica: each has a queue of its own, which the broker deletes with its connection.

For hints, not for work: what is published while a replica is not connected is never delivered to it.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from shared.messages.connection import open_connection
from shared.messages.consuming import Consumer
from shared.messages.topology import EVENTS_EXCHANGE
from shared.schemas import new_id

_PREFETCH = 50


async def declare_events(channel: AbstractChannel) -> None:
    """The exchange that all events go through; declared alike by whoever publishes or hears."""
    await channel.declare_exchange(EVENTS_EXCHANGE, ExchangeType.TOPIC, durable=True)


@asynccontextmanager
async def heard(url: str, listener: str, events: Sequence[str], hear: Callable[[], None]) -> AsyncIterator[None]:
    """Call `hear` for each of the named events while the block runs; a broker that is away is waited for."""
    queue_name = f"{listener}.hears.{new_id()}"

    async def topology(channel: AbstractChannel) -> None:
        await declare_events(channel)
        queue = await channel.declare_queue(queue_name, exclusive=True, auto_delete=True)
        for event in events:
            await queue.bind(EVENTS_EXCHANGE, event)

    async def handle(_message: AbstractIncomingMessage) -> None:
        hear()

    async with open_connection(url, f"{listener} hears") as connection:
        consumer = Consumer(connection, topology, queue_name, handle, prefetch=_PREFETCH, known_as=f"{listener}.hears")
        consumer.start()
        try:
            yield
        finally:
            await consumer.aclose()
