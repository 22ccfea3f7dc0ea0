"""Deletes tasks that ended long ago, with their attempts: a few at a time, so that nobody waits for it.

By an index of what has ended, kind by kind: however many tasks are kept, none that stays is looked at. Not by
partitions, which are dropped at once: a task is found by its id alone, and when it will end is not known as it is made.
"""

import logging
from datetime import timedelta

from sqlalchemy import delete, func, select

from services.tasks.domain import UNFINISHED
from services.tasks.errors import KindUnknown
from services.tasks.kinds.registry import KindRegistry
from services.tasks.models import Task
from shared.loops import keep
from shared.postgres import Database

_log = logging.getLogger("tasks.worker")
_BATCH = 500
_HAS_ENDED = Task.finished_at.is_not(None)


class Retention:
    """One look after another, for as long as the worker lives."""

    def __init__(self, database: Database, kinds: KindRegistry, *, days: float, every_seconds: float) -> None:
        self._database, self._kinds, self._days = database, kinds, days
        self._every_seconds = every_seconds

    async def run(self) -> None:
        """Never returns."""
        every = self._every_seconds
        await keep(self.sweep, log=_log, every_seconds=every, retry_seconds=every)

    async def sweep(self) -> bool:
        """Delete a batch of each kind; whether there is more. Raises Unavailable."""
        counts = [await self._delete(kind) for kind in await self._list_kinds()]
        if any(counts):
            _log.info("old tasks deleted", extra={"fields": {"count": sum(counts)}})
        return any(count >= _BATCH for count in counts)

    async def _list_kinds(self) -> list[str]:
        """Of tasks that have ended: from one to the next by the index."""
        found: list[str] = []
        async with self._database.statements() as session:
            following = select(Task.kind).where(_HAS_ENDED).order_by(Task.kind).limit(1)
            while kind := await session.scalar(following.where(Task.kind > found[-1]) if found else following):
                found.append(kind)
        return found

    async def _delete(self, kind: str) -> int:
        is_old = Task.finished_at < func.now() - timedelta(days=self._days_of(kind))
        old = select(Task.id).where(Task.kind == kind, _HAS_ENDED, is_old, Task.status.not_in(UNFINISHED))
        batch = old.order_by(Task.finished_at).limit(_BATCH).with_for_update(skip_locked=True)
        async with self._database.transaction() as session:
            deleted = await session.scalars(delete(Task).where(Task.id.in_(batch)).returning(Task.id))
            return len(deleted.all())

    def _days_of(self, kind: str) -> float:
        """The kind's own, or the installation's; of a kind that is no more too."""
        try:
            return self._kinds.get(kind).retention_days or self._days
        except KindUnknown:
            return self._days
