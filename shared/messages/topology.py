"""Exchanges and queues."""

from collections.abc import Awaitable, Callable
from typing import Any

from aio_pika.abc import AbstractChannel, AbstractExchange

EVENTS_EXCHANGE = "sutazai.events"


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
