"""The exchanges and queues that carry task ids from the API to the workers: one queue a priority.

See docs/decisions/0012-a-queue-per-priority.md for why not one queue with priorities.
"""

from typing import Any
from uuid import UUID

import orjson
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel

from services.tasks.domain import Priority
from shared.identity import declare_deeds
from shared.messages import declare_dead_letters, declare_queue

MAX_DELIVERIES = 20
"""Of one message. It is a bound on trouble, not the number of a task's attempts: each attempt has its own message."""


class Queues:
    """Names under one prefix, and the topology that publisher and consumers both declare."""

    def __init__(self, prefix: str) -> None:
        self.exchange = prefix
        self.dead_exchange = f"{prefix}.dead"
        self.dead_queue = f"{prefix}.dead"

    def queue(self, priority: Priority) -> str:
        return f"{self.exchange}.{priority}"

    async def declare(self, channel: AbstractChannel) -> None:
        """Declares everything; may be repeated."""
        exchange = await channel.declare_exchange(self.exchange, ExchangeType.DIRECT, durable=True)
        dead = await channel.declare_exchange(self.dead_exchange, ExchangeType.FANOUT, durable=True)
        await declare_dead_letters(channel, self.dead_queue, exchange=dead)
        for priority in Priority:
            await declare_queue(
                channel,
                self.queue(priority),
                exchange=exchange,
                routing_key=priority,
                dead_letters=dead,
                max_deliveries=MAX_DELIVERIES,
            )
        await declare_deeds(channel)  # the outbox has them too, and what no queue takes would stay in it

    def message(self, task_id: str, priority: str, traceparent: str | None = None) -> dict[str, Any]:
        """The arguments of `Outbox.compose` that send a worker to this task."""
        return {
            "exchange": self.exchange,
            "routing_key": priority,
            "body": {"task_id": task_id},
            "headers": {"traceparent": traceparent} if traceparent else None,
        }


def task_id_in(body: bytes) -> str:
    """The task that such a message names. Raises ValueError, KeyError or TypeError where it names none."""
    return str(UUID(orjson.loads(body)["task_id"]))
