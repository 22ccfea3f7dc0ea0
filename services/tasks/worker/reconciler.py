"""Brings back what would stay behind: due retries, tasks of lost workers, tasks whose message was lost.

Every worker runs it; rows are taken with `SKIP LOCKED`, so none is brought back twice.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from services.tasks.domain import Priority, TaskStatus
from services.tasks.models import IdempotencyKeyRow
from services.tasks.queues import Queues
from services.tasks.settings import WorkerSettings
from services.tasks.worker.kind_places import LeftOut
from services.tasks.worker.lapses import Lapses
from services.tasks.worker.recovery import BATCH, Recovered, RecoveryRepository
from shared.errors import ServiceError
from shared.limits import Shares
from shared.loops import keep
from shared.messages import Connection
from shared.postgres import Database, IdempotencyKeys, Outbox

_log = logging.getLogger("tasks.worker")
_MOST_LINKS = 20
_Take = Callable[[RecoveryRepository], Awaitable[list[Recovered]]]
_Step = Callable[[], Awaitable[object]]


class Reconciler:
    """One look after another, for as long as the worker lives."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        queues: Queues,
        broker: Connection,
        settings: WorkerSettings,
        limits: Mapping[str, int],
        left_out: LeftOut,
    ) -> None:
        self._database, self._outbox, self._queues, self._broker = database, outbox, queues, broker
        self._settings, self._limits, self._left_out = settings, limits, left_out
        self._most_due = Shares("tasks", max(settings.slots.values())).of_a_user  # more would be put off again
        self._swept_at = float("-inf")
        self._lapses = Lapses(settings.lease_seconds)

    async def run(self) -> None:
        """Never returns."""
        every = self._settings.reconcile_seconds
        await keep(self.reconcile, log=_log, every_seconds=every, retry_seconds=every)

    async def reconcile(self) -> bool:
        """Everything that is due, once; whether there is more at once. Raises what failed, after all had their turn."""
        steps: list[_Step] = []
        if time.monotonic() - self._swept_at >= self._settings.republish_seconds / 2:
            self._swept_at = time.monotonic()
            steps += self._sweeps()  # first, or what is too old to start would be sent
        steps += self._steps()
        failures: list[Exception] = []
        is_more = False
        for step in steps:
            try:
                is_more |= await step() is True
            except Exception as error:  # noqa: BLE001 - a statement that takes too long must not keep the others from it
                failures.append(error)
        for other in failures[1:]:
            if not isinstance(other, ServiceError):
                _log.error("failed, to be tried again", exc_info=other)
        if failures:
            raise failures[0]
        return is_more

    def _steps(self) -> list[_Step]:
        """Of each look."""
        return [
            lambda: self._take("late", lambda tasks: tasks.expire_late()),
            lambda: self._take_once("due", lambda tasks: tasks.take_due(self._most_due, but=self._limits)),
            *(partial(self._take_of_kind, kind) for kind in self._limits),
            self._take_lapsed,
            self._cancel_doomed,
        ]

    def _sweeps(self) -> list[_Step]:
        """Of a look now and then."""
        return [
            lambda: self._take("expired", lambda tasks: tasks.expire_unsent(self._settings.expire_days)),
            lambda: self._take("expired", lambda tasks: tasks.expire_unheard(self._settings.expire_days)),
            *(partial(self._republish, priority) for priority in Priority),
            self._delete_old_keys,
        ]

    async def _take_lapsed(self) -> None:
        async with self._database.session() as session:
            has_lapsed = await RecoveryRepository(session).has_lapsed()
        if self._lapses.are_telling() and has_lapsed:
            await self._take("lapsed", lambda tasks: tasks.take_lapsed())

    async def _take_of_kind(self, kind: str) -> None:
        limit = self._limits[kind]
        await self._take_once("due", lambda tasks: tasks.take_of_kind(kind, limit, but=self._left_out))

    async def _cancel_doomed(self) -> bool:
        """A chain of tasks falls link by link; whether it may go on. A long one lets others have their turn between."""
        for _ in range(_MOST_LINKS):
            if not await self._take_once("doomed", lambda tasks: tasks.cancel_doomed()):
                return False
        return True

    async def _delete_old_keys(self) -> None:
        async with self._database.transaction() as session:
            await IdempotencyKeys(session, IdempotencyKeyRow).delete_old()

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
