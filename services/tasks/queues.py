"""The exchanges and queues that carry tickets from the API to the workers: one queue a priority.

See docs/decisions/0012-a-queue-per-priority.md for why not one queue with priorities.
"""

from dataclasses import asdict
from typing import Any
from uuid import UUID

import orjson
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange

from services.tasks.domain import Priority, Ticket
from shared.identity import declare_deeds
from shared.messages import EVENTS_EXCHANGE, declare_dead_letters, declare_events, declare_queue

MAX_DELIVERIES = 20
"""Of one message. It is a bound on trouble, not the number of a task's attempts: each attempt has its own message."""

RUN_EVENTS = ("run.waiting.v1", "run.completed.v1", "run.failed.v1", "run.cancelled.v1")
"""What webhooks are told of chat, which publishes it."""


class Queues:
    """Names under one prefix, and the topology that publisher and consumers both declare."""

    def __init__(self, prefix: str) -> None:
        self.exchange = prefix
        self.dead_exchange = f"{prefix}.dead"
        self.dead_queue = f"{prefix}.dead"
        self.runs = f"{prefix}.runs"

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
        await self._declare_runs(channel, dead)
        await declare_deeds(channel)  # the outbox has them too, and what no queue takes would stay in it

    async def _declare_runs(self, channel: AbstractChannel, dead: AbstractExchange) -> None:
        """What chat tells of runs, kept until a worker has heard it."""
        await declare_events(channel)
        events = await channel.get_exchange(EVENTS_EXCHANGE, ensure=False)
        for told in RUN_EVENTS:
            await declare_queue(channel, self.runs, exchange=events, routing_key=told, dead_letters=dead)

    def message(self, ticket: Ticket, priority: str, traceparent: str | None = None) -> dict[str, Any]:
        """The arguments of `Outbox.compose` that send a worker to this task."""
        return {
            "exchange": self.exchange,
            "routing_key": priority,
            "body": asdict(ticket),
            "headers": {"traceparent": traceparent} if traceparent else None,
        }


def ticket_in(body: bytes) -> Ticket:
    """What such a message says. Raises ValueError, KeyError or TypeError where it names no task.

    One of a release that did not say whose the task is counts as nobody's: all of these together have one user's share.
    """
    said = orjson.loads(body)
    others = (str(said.get(name, "")) for name in ("tenant_id", "user_id", "kind"))
    return Ticket(str(UUID(said["task_id"])), *others)
