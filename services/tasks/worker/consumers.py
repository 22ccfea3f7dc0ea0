"""What a worker hears: a message for each task that is to be done now, from one queue a priority."""

import asyncio
import functools
import logging
from types import TracebackType

from aio_pika.abc import AbstractIncomingMessage

from services.tasks.domain import Priority
from services.tasks.queues import Queues, ticket_in
from services.tasks.settings import WorkerSettings
from services.tasks.worker.runner import Runner
from shared.messages import Connection, Consumer

_log = logging.getLogger("tasks.worker")


class Consumers:
    """One a priority, each with slots of its own, opened and closed together.

    They take no more messages than there are slots. One whose owner has no place left goes back to PostgreSQL, so that
    those behind it come to be looked at.
    """

    def __init__(self, connection: Connection, queues: Queues, runner: Runner, settings: WorkerSettings) -> None:
        self._runner, self._settings = runner, settings
        self._consumers = [
            Consumer(
                connection,
                queues.declare,
                queues.queue(priority),
                functools.partial(self._hear, priority),
                prefetch=slots,
            )
            for priority, slots in settings.slots.items()
        ]

    async def _hear(self, priority: Priority, message: AbstractIncomingMessage) -> None:
        await self._runner.run(ticket_in(message.body), priority)

    async def __aenter__(self) -> "Consumers":
        for consumer in self._consumers:
            consumer.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take nothing new, give running tasks `shutdown_seconds` to finish, give the rest back."""
        self._runner.stop_accepting()
        closing = [asyncio.create_task(consumer.aclose()) for consumer in self._consumers]
        _, late = await asyncio.wait(closing, timeout=self._settings.shutdown_seconds)
        if late:
            _log.warning("giving back what did not finish in time")
            self._runner.give_back_all()
        await asyncio.gather(*closing)
