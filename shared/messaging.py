"""RabbitMQ through aio-pika: connections that come back, quorum queues, confirmed publishing.

Publish on one connection and consume (`shared.consuming`) on another: a publisher blocked by the broker's flow control
must not stop a consumer from acknowledging. Reconnecting is done here and not by aio-pika's robust classes: everything
a channel needs (topology, prefetch, the consumer) is set up again by the code that set it up first, also after a queue
was deleted under its consumer.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aio_pika.connection import make_url
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity, DeliveryError, PublishError

from shared import telemetry
from shared.errors import ServiceError, Unavailable

_log = logging.getLogger("shared.messaging")
_CONNECT_SECONDS = 5.0
_PUBLISH_SECONDS = 5.0
_CLOSE_SECONDS = 5.0
_HEARTBEAT_SECONDS = 15
TRANSPORT_ERRORS = (AMQPError, ConnectionError, TimeoutError, OSError, RuntimeError)
"""What aio-pika raises when connection, channel or broker fail it; RuntimeError is its word for a closed connection."""

EVENTS_EXCHANGE = "sutazai.events"


class Unroutable(ServiceError):
    """The broker has no such exchange or no queue for the message: somebody deleted it, or the topology is wrong."""

    code = "common.message_unroutable"
    default_detail = "The broker has no queue for this message."


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to publish. `id` is what consumers recognise a repetition by."""

    id: str
    exchange: str
    routing_key: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    priority: int | None = None


Topology = Callable[[AbstractChannel], Awaitable[None]]


async def declare_queue(
    channel: AbstractChannel,
    name: str,
    *,
    exchange: AbstractExchange,
    routing_key: str,
    dead_letters: AbstractExchange | None = None,
    max_deliveries: int = 20,
) -> None:
    """A durable quorum queue, bound. With `dead_letters`, what is rejected goes there under the queue's own name.

    Dead-lettering is at-least-once, which the broker offers only together with `reject-publish`. A message that is
    never settled is dead-lettered after exactly `max_deliveries` deliveries.
    """
    arguments: dict[str, Any] = {"x-queue-type": "quorum"}
    if dead_letters is not None:
        arguments |= {
            "x-delivery-limit": max_deliveries - 1,  # the broker counts returns, and the first delivery is none
            "x-dead-letter-exchange": dead_letters.name,
            "x-dead-letter-routing-key": name,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
    queue = await channel.declare_queue(name, durable=True, arguments=arguments)
    await queue.bind(exchange, routing_key)


class Connection:
    """One connection, kept open in the background: a broker that is down delays messages, not the service."""

    def __init__(self, url: str, name: str) -> None:
        self._url, self._name = url, name
        self._connection: AbstractConnection | None = None
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_open(), name=f"amqp:{self._name}")

    async def _keep_open(self) -> None:
        while True:
            try:
                await self._connect_and_wait()
            except TRANSPORT_ERRORS as error:
                _log.warning("cannot reach the broker", extra={"fields": {"cause": type(error).__name__}})
                await asyncio.sleep(random.uniform(0.5, 1.5))

    async def _connect_and_wait(self) -> None:
        """Returns when the connection is lost. Closed at any end: aio-pika would leave it to the garbage collector."""
        lost = asyncio.Event()
        url = make_url(self._url, heartbeat=_HEARTBEAT_SECONDS)
        connection = aio_pika.Connection(url, client_properties={"connection_name": self._name})
        connection.close_callbacks.add(lambda *_: lost.set())
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await connection.connect()
            self._connection = connection
            self._connected.set()
            await lost.wait()
            _log.warning("connection to the broker lost", extra={"fields": {"connection": self._name}})
        finally:
            self._connected.clear()
            await close_quietly(connection)

    @property
    def is_up(self) -> bool:
        return self._connected.is_set()

    async def ready(self) -> AbstractConnection:
        """The open connection; waits for it, however long. Callers bound the wait."""
        await self._connected.wait()
        assert self._connection is not None  # noqa: S101 - set before the event
        return self._connection

    async def ping(self) -> None:
        """Raises Unavailable unless the connection is up."""
        if not self.is_up:
            raise Unavailable("rabbitmq")

    async def count_ready(self, queue_name: str) -> int:
        """How many messages wait in the queue, undelivered; 0 when there is no such queue. Raises Unavailable."""
        try:
            async with asyncio.timeout(_PUBLISH_SECONDS), (await self.ready()).channel() as channel:
                queue = await channel.declare_queue(queue_name, passive=True)
                return queue.declaration_result.message_count or 0
        except ChannelNotFoundEntity:
            return 0
        except TRANSPORT_ERRORS as error:
            raise Unavailable("rabbitmq") from error

    async def aclose(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class Publisher:
    """Publishes persistent, mandatory, confirmed messages over one channel.

    Declares the topology on each new channel, and again after the broker found no queue for a message.
    """

    def __init__(self, connection: Connection, topology: Topology) -> None:
        self._connection = connection
        self._topology = topology
        self._channel: AbstractChannel | None = None
        self._exchanges: dict[str, AbstractExchange] = {}
        self._declared = False
        self._opening = asyncio.Lock()

    async def ready(self) -> None:
        """Waits until the broker is connected, however long. Callers bound the wait."""
        await self._connection.ready()

    async def publish(self, message: OutgoingMessage) -> None:
        """Returns once the broker has confirmed. Raises Unavailable (nothing is known: send again), Unroutable."""
        try:
            async with asyncio.timeout(_PUBLISH_SECONDS):
                exchange = await self._exchange(message.exchange)
                await exchange.publish(_encoded(message), message.routing_key, mandatory=True)
        except PublishError as error:  # the broker returned it
            # Declared again by the next publish, which should come a moment later: consumers of a queue that is
            # deleted and made anew within milliseconds are never told, and would wait on the old one for ever.
            self._declared = False
            raise Unroutable from error
        except (DeliveryError, *TRANSPORT_ERRORS) as error:
            raise Unavailable("rabbitmq") from error

    async def _exchange(self, name: str) -> AbstractExchange:
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                connection = await self._connection.ready()
                self._channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                self._exchanges, self._declared = {}, False
            if not self._declared:
                await self._topology(self._channel)
                self._declared = True
            if name not in self._exchanges:
                await self._require(name)
                self._exchanges[name] = await self._channel.get_exchange(name, ensure=False)
            return self._exchanges[name]

    async def _require(self, exchange_name: str) -> None:
        """Raises Unroutable. Asks on a channel of its own: the broker closes the one on which a wrong name is used.

        On the publishing channel that would end all that is under way there, and the connection with it: aiormq 7.2
        goes on publishing for a moment after the close, which the broker answers with "expected 'channel.open'".
        """
        try:
            async with (await self._connection.ready()).channel() as channel:
                await channel.get_exchange(exchange_name, ensure=True)
        except ChannelNotFoundEntity as error:
            self._declared = False
            raise Unroutable from error


async def close_quietly(closable: AbstractChannel | AbstractConnection) -> None:
    """Close what may be broken already; never waits for long, never raises for the broker's sake."""
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await closable.close()
    except TRANSPORT_ERRORS as error:
        _log.debug("did not close in order", extra={"fields": {"cause": repr(error)}})


def _encoded(message: OutgoingMessage) -> aio_pika.Message:
    headers = dict(message.headers)
    if "traceparent" not in headers:
        telemetry.inject(headers)
    return aio_pika.Message(
        message.body,
        message_id=message.id,
        headers=dict(headers),
        priority=message.priority,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )


@asynccontextmanager
async def open_connection(url: str, name: str) -> AsyncIterator[Connection]:
    """A connection closed at the end of the block."""
    connection = Connection(url, name)
    connection.start()
    try:
        yield connection
    finally:
        await connection.aclose()
