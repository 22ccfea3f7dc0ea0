"""Consuming from RabbitMQ: through lost connections, restarted brokers and deleted queues, until told to stop."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from shared import telemetry
from shared.ending import end
from shared.messages.connection import TRANSPORT_ERRORS, Connection, close_quietly, rejections
from shared.messages.topology import Topology
from shared.telemetry import SpanKind, Value, conventions, kind_of

_log = logging.getLogger("shared.messages")
_SETUP_SECONDS = 10.0  # a channel with its topology and its consumer

Handler = Callable[[AbstractIncomingMessage], Awaitable[None]]


class RetryLater(Exception):
    """Raised by a handler: the message goes back to its queue, counted by the broker's delivery limit."""


class Consumer:
    """Hands the messages of one queue to `handle`, up to `prefetch` at once, through every loss of the broker.

    A message is acknowledged after `handle` returned. `RetryLater` puts it back (the queue's delivery limit counts);
    anything else dead-letters it. Handlers outlive the connection they were fed by: when it is lost they run on, the
    broker delivers their messages again, and so a handler must bear repetition. Never more than `prefetch` handlers
    run, however often the connection was lost meanwhile: what is delivered anew waits for a slot.
    """

    def __init__(
        self,
        connection: Connection,
        topology: Topology,
        queue_name: str,
        handle: Handler,
        *,
        prefetch: int,
        known_as: str | None = None,
    ) -> None:
        """`known_as` is what traces call a queue whose name is new each time."""
        self._connection, self._topology = connection, topology
        self._queue_name, self._handle, self._prefetch = queue_name, handle, prefetch
        self._known_as = known_as or queue_name
        self._slots = asyncio.Semaphore(prefetch)
        self._in_flight: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._stop, self._stopped = asyncio.Event(), asyncio.Event()

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_consuming(), name=f"consume:{self._queue_name}")

    async def stop(self) -> None:
        """Returns when no further messages come. Those in flight go on; `aclose` waits for them."""
        self._stop.set()
        if self._task:
            await self._stopped.wait()

    async def aclose(self) -> None:
        """Wait for the messages in flight, however long they take, then close the channel."""
        self._stop.set()
        if self._task:
            await asyncio.wait({self._task})

    async def _keep_consuming(self) -> None:
        while not self._stop.is_set():
            try:
                with rejections():
                    await self._consume()
            except TRANSPORT_ERRORS as error:
                fields = {"queue": self._queue_name, "cause": repr(error)}
                _log.warning("cannot consume", extra={"fields": fields})
            except Exception:  # noqa: BLE001 - ended, it would be missed by nobody, and whoever stops it wait for ever
                _log.exception("cannot consume", extra={"fields": {"queue": self._queue_name}})
            if not self._stop.is_set():
                await asyncio.sleep(random.uniform(0.5, 1.5))
        self._stopped.set()
        await self._settled()

    async def _consume(self) -> None:
        """Returns when the consumer is lost or told to stop."""
        connection = await _either(self._connection.ready(), self._stop)
        if connection is None:
            return
        over = asyncio.Event()
        async with asyncio.timeout(_SETUP_SECONDS):
            channel = await connection.channel(publisher_confirms=False)
        try:
            cancel = await self._start_consuming(channel, over)
            await _either(over.wait(), self._stop)
            if self._stop.is_set() and not channel.is_closed:
                await cancel()
                self._stopped.set()
                await self._settled()  # they acknowledge on this channel
        finally:
            await close_quietly(channel)

    async def _settled(self) -> None:
        while self._in_flight:
            await asyncio.wait(self._in_flight)

    async def _start_consuming(self, channel: AbstractChannel, over: asyncio.Event) -> Callable[[], Awaitable[Any]]:
        channel.close_callbacks.add(lambda *_: over.set())
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(lambda _: over.set())  # the queue was deleted
        async with asyncio.timeout(_SETUP_SECONDS):
            await self._topology(channel)
            await channel.set_qos(prefetch_count=self._prefetch)
            queue = await channel.get_queue(self._queue_name, ensure=False)
            tag = await queue.consume(self._accept)
        return lambda: queue.cancel(tag, timeout=_SETUP_SECONDS)

    async def _accept(self, message: AbstractIncomingMessage) -> None:
        # Not in the driver's own task for it: that one is cancelled when the channel closes.
        task = asyncio.create_task(self._settle(message), name=f"message:{message.message_id}")
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _settle(self, message: AbstractIncomingMessage) -> None:
        headers = {name: str(value) for name, value in message.headers.items()}
        with telemetry.continued(
            headers, f"process {self._known_as}", SpanKind.CONSUMER, self._described(message)
        ) as span:
            try:
                async with self._slots:
                    if message.channel.is_closed:  # lost while it waited: the broker delivers it again
                        return
                    settle = await self._outcome(message, span)
                await settle()
            except TRANSPORT_ERRORS as error:  # the broker will deliver it again
                fields = {"message_id": message.message_id, "cause": repr(error)}
                _log.info("message not settled", extra={"fields": fields})

    def _described(self, message: AbstractIncomingMessage) -> dict[str, Value]:
        return {
            conventions.MESSAGING_SYSTEM: "rabbitmq",
            conventions.MESSAGING_OPERATION: "process",
            conventions.MESSAGING_OPERATION_TYPE: "process",
            conventions.MESSAGING_DESTINATION: self._known_as,
            conventions.MESSAGING_ROUTING_KEY: message.routing_key or "",
            conventions.MESSAGING_MESSAGE_ID: message.message_id or "",
        }

    async def _outcome(self, message: AbstractIncomingMessage, span: telemetry.Span) -> Callable[[], Awaitable[None]]:
        """What to tell the broker."""
        fields = {"message_id": message.message_id, "queue": self._queue_name}
        try:
            await self._handle(message)
        except RetryLater as error:
            span.fail("put_back")
            _log.info("message put back", extra={"fields": {**fields, "cause": repr(error.__cause__ or error)}})
            return lambda: message.reject(requeue=True)  # on RabbitMQ 4.3 a nack is not counted as a delivery
        except Exception as error:  # noqa: BLE001 - a message nobody can take goes to the dead letters, its reason into the log
            span.fail(kind_of(error))
            _log.exception("message dead-lettered", extra={"fields": fields})
            return lambda: message.reject(requeue=False)
        return message.ack


async def _either(wait: Coroutine[Any, Any, Any], stop: asyncio.Event) -> Any:
    """The result of `wait`, or None when `stop` is set first."""
    waiting, stopping = asyncio.create_task(wait), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        await end(waiting, stopping)
