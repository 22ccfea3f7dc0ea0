"""Connections that come back.

Publish on one connection and consume on another: a publisher blocked by the broker's flow control must not stop a
consumer from acknowledging. Reconnecting is done here and not by aio-pika's robust classes: everything a channel needs
(topology, prefetch, the consumer) is set up again by the code that set it up first, also after a queue was deleted
under its consumer.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.connection import make_url
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity

from shared import telemetry
from shared.ending import end, is_told_to_end
from shared.errors import Unavailable
from shared.settings import require_address

_log = logging.getLogger("shared.messages")
_CONNECT_SECONDS = 5.0
_CLOSE_SECONDS = 5.0
_COUNT_SECONDS = 5.0
_HEARTBEAT_SECONDS = 15
TRANSPORT_ERRORS = (AMQPError, ConnectionError, TimeoutError, OSError, RuntimeError, EOFError, StopAsyncIteration)
"""What aio-pika raises when connection, channel or broker fail it.

RuntimeError is its word for a closed connection, StopAsyncIteration for one that ends while it is opened.
"""


@contextmanager
def rejections() -> Iterator[None]:
    """Raises ConnectionError where the block ends by a cancel that nobody asked of this task.

    aiormq gives up a connection that is silent for three heartbeats by cancelling its own reader, and rejects all that
    is under way with that cancel: whoever let it pass would end, with their loop, and be back with no connection.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        if is_told_to_end():
            raise
        raise ConnectionError("given up, as the broker was silent") from error


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
                with rejections():
                    await self._connect_and_wait()
            except TRANSPORT_ERRORS as error:
                _log.warning("cannot reach the broker", extra={"fields": {"cause": type(error).__name__}})
                await asyncio.sleep(random.uniform(0.5, 1.5))
            except Exception:  # noqa: BLE001 - all who use it would wait for ever
                _log.exception("cannot reach the broker")
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
            try:
                await close_quietly(connection)
            finally:
                await connection.close()  # says that it is closed, and waits for nothing, if the first was broken off

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
            with rejections():
                async with asyncio.timeout(_COUNT_SECONDS), (await self.ready()).channel() as channel:
                    queue = await channel.declare_queue(queue_name, passive=True)
                    return queue.declaration_result.message_count or 0
        except ChannelNotFoundEntity:
            return 0
        except TRANSPORT_ERRORS as error:
            raise Unavailable("rabbitmq") from error

    async def aclose(self) -> None:
        if self._task:
            await end(self._task)


async def close_quietly(closable: AbstractChannel | AbstractConnection) -> None:
    """Close what may be broken already; never waits for long, never raises for the broker's sake."""
    try:
        with rejections():
            async with asyncio.timeout(_CLOSE_SECONDS):
                await closable.close()
    except TRANSPORT_ERRORS as error:
        _log.debug("did not close in order", extra={"fields": {"cause": repr(error)}})


@asynccontextmanager
async def open_connection(url: str, name: str) -> AsyncIterator[Connection]:
    """A connection closed at the end of the block. Raises CannotStart for an address that is none."""
    require_address("RABBITMQ_URL", url, "amqp", "amqps")
    connection = Connection(url, name)
    connection.start()
    try:
        with telemetry.measured_broker(name, lambda: connection.is_up):
            yield connection
    finally:
        await connection.aclose()
