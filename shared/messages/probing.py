"""Whether RabbitMQ moves messages: a connection may stand while quorum queues are down, or while an alarm holds all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractQueue
from aio_pika.exceptions import DeliveryError, PublishError

from shared.ending import end
from shared.errors import Unavailable
from shared.health import Finding
from shared.messages.connection import TRANSPORT_ERRORS, Connection, close_quietly, rejections

RABBITMQ_REMEDY: Final = "look at its free space, its memory and its log, then restart it (`make up`)"
_QUEUE: Final = "sutazai.probes"
# A quorum queue, as those that work goes through. What a killed replica left there goes by itself.
_ARGUMENTS: Final[dict[str, Any]] = {"x-queue-type": "quorum", "x-max-length": 100, "x-message-ttl": 60_000}
_PATIENCE_SECONDS = 30.0


class BrokerProbe:
    """Publishes a message, confirmed, through a durable quorum queue, and takes one back: its own or a replica's.

    Each takes only after its own was confirmed, so there is one for each. Use the connection that publishes: an alarm
    stops whatever a connection sends after it has published.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel: AbstractChannel | None = None
        self._queue: AbstractQueue | None = None
        self._trip: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Raises Finding, Unavailable. One message is under way at most, however often it is asked meanwhile."""
        if not self._connection.is_up:
            raise Unavailable("rabbitmq")
        if self._trip is None or self._trip.done():
            self._trip = asyncio.create_task(self._there_and_back(), name="probe:rabbitmq:message")
        await asyncio.wait({self._trip})
        self._trip.result()

    async def _there_and_back(self) -> None:
        try:
            with rejections():
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    message = await self._sent_and_taken()
        except PublishError as error:  # returned: the queue was deleted
            await self._begin_anew()
            raise Finding("rabbitmq has lost the queue of health checks") from error
        except (DeliveryError, *TRANSPORT_ERRORS) as error:
            await self._begin_anew()
            raise Unavailable("rabbitmq") from error
        if message is None:
            raise Finding("rabbitmq does not deliver what it confirmed")

    async def _sent_and_taken(self) -> object:
        channel, queue = await self._opened()
        body = aio_pika.Message(b"", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(body, _QUEUE, mandatory=True)
        return await queue.get(no_ack=True, fail=False)

    async def _opened(self) -> tuple[AbstractChannel, AbstractQueue]:
        if self._channel is None or self._queue is None or self._channel.is_closed:
            connection = await self._connection.ready()
            self._channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            self._queue = await self._channel.declare_queue(_QUEUE, durable=True, arguments=_ARGUMENTS)
        return self._channel, self._queue

    async def _begin_anew(self) -> None:
        channel, self._channel, self._queue = self._channel, None, None
        if channel is not None:
            await close_quietly(channel)

    async def aclose(self) -> None:
        if self._trip is not None:
            await end(self._trip)


@asynccontextmanager
async def open_probe(connection: Connection) -> AsyncIterator[BrokerProbe]:
    """A probe of the broker behind `connection`, ended with the block."""
    probe = BrokerProbe(connection)
    try:
        yield probe
    finally:
        await probe.aclose()
