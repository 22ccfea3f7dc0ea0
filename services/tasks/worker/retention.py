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
from shared.errors import ServiceError
from shared.loops import keep
from shared.postgres import Database

_log = logging.getLogger("tasks.worker")
_BATCH = 50  # each may have thousands of events, which go with it
_HAS_ENDED = Task.finished_at.is_not(None)


class Retention:
    """One look after another, for as long as the worker lives."""

    def __init__(self, database: Database, kinds: KindRegistry, *, days: float, every_seconds: float) -> None:
        self._database, self._kinds, self._days = database, kinds, days
        self._every_seconds = every_seconds
        self._batches: dict[str, int] = {}  # of kinds of which fewer go at once

    async def run(self) -> None:
        """Never returns."""
        every = self._every_seconds
        await keep(self.sweep, log=_log, every_seconds=every, retry_seconds=every)

    async def sweep(self) -> bool:
        """Delete a batch of each kind, a smaller one the next time where that fails; whether there is more.

        Raises Unavailable.
        """
        count, is_more = 0, False
        for kind in await self._list_kinds():
            most = self._batches.get(kind, _BATCH)
            try:
                deleted = await self._delete(kind, most)
            except Exception as error:  # noqa: BLE001 - of whatever kind it is, the others have their turn
                self._note(kind, most, error)
                self._batches[kind] = max(1, most // 2)
                is_more |= most > 1
                continue
            count += deleted
            is_more |= deleted >= most
            if deleted < most:
                self._batches.pop(kind, None)
        if count:
            _log.info("old tasks deleted", extra={"fields": {"count": count}})
        return is_more

    def _note(self, kind: str, most: int, error: Exception) -> None:
        expected = isinstance(error, ServiceError)
        fields = {"kind": kind, "most": most, "cause": error.detail if isinstance(error, ServiceError) else repr(error)}
        _log.warning("old tasks not deleted", exc_info=None if expected else error, extra={"fields": fields})

    async def _list_kinds(self) -> list[str]:
        """Of tasks that have ended: from one to the next by the index."""
        found: list[str] = []
        async with self._database.statements() as session:
            following = select(Task.kind).where(_HAS_ENDED).order_by(Task.kind).limit(1)
            while kind := await session.scalar(following.where(Task.kind > found[-1]) if found else following):
                found.append(kind)
        return found

    async def _delete(self, kind: str, most: int) -> int:
        is_old = Task.finished_at < func.now() - timedelta(days=self._days_of(kind))
        old = select(Task.id).where(Task.kind == kind, _HAS_ENDED, is_old, Task.status.not_in(UNFINISHED))
        batch = old.order_by(Task.finished_at).limit(most).with_for_update(skip_locked=True)
        async with self._database.transaction() as session:
            deleted = await session.scalars(delete(Task).where(Task.id.in_(batch)).returning(Task.id))
            return len(deleted.all())

    def _days_of(self, kind: str) -> float:
        """The kind's own, or the installation's; of a kind that is no more too."""
        try:
            return self._kinds.get(kind).retention_days or self._days
        except KindUnknown:
            return self._days
