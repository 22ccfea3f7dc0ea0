"""Exchanges and queues, the same on RabbitMQ 3.10 and 4: what differs between them differs here."""

from collections.abc import Awaitable, Callable
from typing import Any

from aio_pika.abc import AbstractChannel, AbstractExchange
from aio_pika.exceptions import ChannelNotFoundEntity
from aiormq.abc import AbstractConnection

EVENTS_EXCHANGE = "sutazai.events"
_UNLIMITED = -1


Topology = Callable[[AbstractChannel], Awaitable[None]]


async def declare_queue(
    channel: AbstractChannel,
    name: str,
    *,
    exchange: AbstractExchange,
    routing_key: str,
    dead_letters: AbstractExchange,
    max_deliveries: int = 20,
) -> None:
    """A durable quorum queue, bound. What is rejected goes to `dead_letters` under the queue's own name.

    Dead-lettering is at-least-once, which the broker offers only together with `reject-publish`. A message that is
    never settled is dead-lettered after exactly `max_deliveries` deliveries.
    """
    arguments: dict[str, Any] = {
        "x-queue-type": "quorum",
        "x-delivery-limit": max_deliveries - 1,  # the broker counts returns, and the first delivery is none
        "x-dead-letter-exchange": dead_letters.name,
        "x-dead-letter-routing-key": name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    queue = await channel.declare_queue(name, durable=True, arguments=arguments)
    await queue.bind(exchange, routing_key)


async def declare_dead_letters(channel: AbstractChannel, name: str, *, exchange: AbstractExchange) -> None:
    """A durable quorum queue that keeps what it gets, however often somebody looks at a letter and puts it back.

    RabbitMQ 4 drops a message at its 21st return unless told otherwise, and 3 does not take that word. A queue that is
    there already stays as it was declared, since a broker refuses other arguments: docs/operations.md says how one
    that was made under RabbitMQ 3 is told on 4.
    """
    connection = (await channel.get_underlay_channel()).connection
    if await _is_there(connection, name):
        queue = await channel.get_queue(name, ensure=False)
    else:
        arguments: dict[str, Any] = {"x-queue-type": "quorum"}
        if _limits_deliveries(connection):
            arguments["x-delivery-limit"] = _UNLIMITED
        queue = await channel.declare_queue(name, durable=True, arguments=arguments)
    await queue.bind(exchange, "")


def _limits_deliveries(connection: AbstractConnection) -> bool:
    """Whether the broker has a limit of its own: since 4.0."""
    version = str(connection.server_properties["version"])
    return int(version.split(".", 1)[0]) >= 4


async def _is_there(connection: AbstractConnection, name: str) -> bool:
    channel = await connection.channel()  # of its own: the broker closes the one that asks for what is not there
    try:
        await channel.queue_declare(name, passive=True)
    except ChannelNotFoundEntity:
        return False
    await channel.close()
    return True
