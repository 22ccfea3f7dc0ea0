"""Publishes persistent, confirmed messages."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange
from aio_pika.exceptions import ChannelNotFoundEntity, DeliveryError, PublishError

from shared import telemetry
from shared.errors import ServiceError, Unavailable
from shared.messages.connection import TRANSPORT_ERRORS, Connection, rejections
from shared.messages.topology import Topology
from shared.telemetry import SpanKind, Value, conventions

_PUBLISH_SECONDS = 5.0


class Unroutable(ServiceError):
    """The broker has no such exchange or no queue for the message: somebody deleted it, or the topology is wrong."""

    code = "common.message_unroutable"
    meaning = "The broker has no queue for a message: a fault of the installation, in the logs."
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
    is_mandatory: bool = True
    """Whether a queue has to take it. What is told to whoever listens need not be heard by anybody."""


class Publisher:
    """Publishes persistent, confirmed messages over one channel, mandatory ones unless they say otherwise.

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
            with rejections():
                async with asyncio.timeout(_PUBLISH_SECONDS):
                    exchange = await self._exchange(message.exchange)
                    await _send(exchange, message)
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


async def _send(exchange: AbstractExchange, message: OutgoingMessage) -> None:
    """In the trace that the message was written in, or else in the one we are in."""
    headers = dict(message.headers)
    if "traceparent" not in headers:
        telemetry.inject(headers)
    attributes: dict[str, Value] = {
        conventions.MESSAGING_SYSTEM: "rabbitmq",
        conventions.MESSAGING_OPERATION: "publish",
        conventions.MESSAGING_OPERATION_TYPE: "send",
        conventions.MESSAGING_DESTINATION: message.exchange,
        conventions.MESSAGING_ROUTING_KEY: message.routing_key,
        conventions.MESSAGING_MESSAGE_ID: message.id,
    }
    with telemetry.span_of(headers, f"publish {message.exchange}", SpanKind.PRODUCER, attributes) as span:
        if span.is_recorded:
            span.inject(headers)
        encoded = _encoded(message, headers)
        await exchange.publish(encoded, message.routing_key, mandatory=message.is_mandatory)


def _encoded(message: OutgoingMessage, headers: Mapping[str, str]) -> aio_pika.Message:
    return aio_pika.Message(
        message.body,
        message_id=message.id,
        headers=dict(headers),
        priority=message.priority,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
