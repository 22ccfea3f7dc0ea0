"""Brings back what would stay behind: due retries, tasks of lost workers, tasks whose message was lost.

Every worker runs it; rows are taken with `SKIP LOCKED`, so none is brought back twice.
"""

import logging
import time
from collections.abc import Awaitable, Callable

from services.tasks.domain import Priority, TaskStatus
from services.tasks.models import IdempotencyKeyRow
from services.tasks.queues import Queues
from services.tasks.settings import WorkerSettings
from services.tasks.worker.recovery import BATCH, Recovered, RecoveryRepository
from shared.limits import Shares
from shared.loops import keep
from shared.messages import Connection
from shared.postgres import Database, IdempotencyKeys, Outbox

_log = logging.getLogger("tasks.worker")
_Take = Callable[[RecoveryRepository], Awaitable[list[Recovered]]]


class Reconciler:
    """One look after another, for as long as the worker lives."""

    def __init__(
        self, database: Database, outbox: Outbox, queues: Queues, broker: Connection, settings: WorkerSettings
    ) -> None:
        self._database, self._outbox, self._queues, self._broker = database, outbox, queues, broker
        self._settings = settings
        self._most_due = Shares("tasks", max(settings.slots.values())).of_a_user  # more would be put off again
        self._swept_at = float("-inf")

    async def run(self) -> None:
        """Never returns."""
        every = self._settings.reconcile_seconds
        await keep(self.reconcile, log=_log, every_seconds=every, retry_seconds=every)

    async def reconcile(self) -> None:
        """Everything that is due, once. Raises Unavailable."""
        if time.monotonic() - self._swept_at >= self._settings.republish_seconds / 2:
            self._swept_at = time.monotonic()
            await self._take("expired", lambda tasks: tasks.expire(self._settings.expire_days))
            for priority in Priority:
                await self._republish(priority)
            async with self._database.transaction() as session:
                await IdempotencyKeys(session, IdempotencyKeyRow).delete_old()
        await self._take("late", lambda tasks: tasks.expire_late())
        while await self._take_once("doomed", lambda tasks: tasks.cancel_doomed()):
            pass  # a chain falls link by link
        await self._take_once("due", lambda tasks: tasks.take_due(self._most_due))
        await self._take("lapsed", lambda tasks: tasks.take_lapsed())

    async def _republish(self, priority: Priority) -> None:
        """Send again what nobody took, if the queue it was sent to is empty: then its message is lost.

        While the queue is not empty the task is taken to wait its turn, or every backlog would double each minute.
        """
        seconds = self._settings.republish_seconds
        async with self._database.session() as session:
            is_suspect = await RecoveryRepository(session).has_unheard(priority, seconds)
        if is_suspect and await self._broker.count_ready(self._queues.queue(priority)) == 0:
            await self._take("unheard", lambda tasks: tasks.take_unheard(priority, seconds))

    async def _take(self, why: str, take: _Take) -> None:
        """Until there are none left."""
        while await self._take_once(why, take) >= BATCH:
            pass

    async def _take_once(self, why: str, take: _Take) -> int:
        """How many there were. The queued ones get their message in the same transaction."""
        async with self._database.transaction() as session:
            tasks = await take(RecoveryRepository(session))
            queued = [task for task in tasks if task.status == TaskStatus.QUEUED]
            for task in queued:
                self._outbox.add(session, **self._queues.message(task.ticket, task.priority, task.traceparent))
        if queued:
            self._outbox.notify()
        if tasks and why != "due":
            _log.info("tasks brought back", extra={"fields": {"why": why, "count": len(tasks)}})
        return len(tasks)
