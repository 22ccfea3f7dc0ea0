"""Deletes tasks that ended long ago, with their attempts: a few at a time, so that nobody waits for it.

By an index of what has ended, of one tenant and kind after the other: however many tasks are kept, none that stays is
looked at, and however many tenants there are, so many of them at a time. Not by partitions, which are dropped at once:
a task is found by its id alone, and when it will end is not known as it is made.
"""

import logging
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from prometheus_client import Counter
from sqlalchemy import ARRAY, ColumnElement, Float, Text, delete, func, literal, select, true, tuple_

from services.tasks.domain import UNFINISHED
from services.tasks.errors import KindUnknown
from services.tasks.keeping import Keeping
from services.tasks.kinds.registry import KindRegistry
from services.tasks.models import Task
from shared.errors import ServiceError
from shared.loops import keep
from shared.postgres import Database

_log = logging.getLogger("tasks.worker")
_BATCH = 50  # each may have thousands of events, which go with it
_LOOKED_AT: Final = 500
_ROUNDS: Final = 5  # a batch of each in every one; then others have their turn, however much is left
_DAY_SECONDS = 86_400
_HAS_ENDED = Task.finished_at.is_not(None)
_WHOSE = (Task.tenant_id, Task.kind)


class Whose(NamedTuple):
    """A tenant and one of the kinds that it has tasks of."""

    tenant_id: str
    kind: str


class Retention:
    """One look after another, for as long as the worker lives."""

    def __init__(
        self, database: Database, kinds: KindRegistry, keeping: Keeping, deleted: Counter, *, every_seconds: float
    ) -> None:
        """`deleted` counts by kind."""
        self._database, self._kinds, self._keeping, self._deleted = database, kinds, keeping, deleted
        self._every_seconds = every_seconds
        self._after: Whose | None = None  # where the next look goes on
        self._rounds = 0  # at the same
        self._batches: dict[Whose, int] = {}  # of those of whom fewer go at once

    async def run(self) -> None:
        """Never returns."""
        if unknown := self._keeping.kinds() - {kind.name for kind in self._kinds.list()}:
            _log.warning("retention of kinds that nobody has", extra={"fields": {"kinds": sorted(unknown)}})
        every = self._every_seconds
        await keep(self.sweep, log=_log, every_seconds=every, retry_seconds=every)

    async def sweep(self) -> bool:
        """Look at some tenants' kinds and delete a batch of each, a smaller one the next time where that fails.

        Whether there is more of these at once; if not, or if that was so for some rounds, the next look is at those
        that follow. Raises Unavailable.
        """
        seen = await self._list_whose()
        is_more = False
        for whose in await self._find_old(seen):
            is_more |= await self._delete_some(whose)
        self._rounds += 1
        if not is_more or self._rounds >= _ROUNDS:
            self._rounds, self._after = 0, seen[-1] if len(seen) == _LOOKED_AT else None
        return is_more

    async def _delete_some(self, whose: Whose) -> bool:
        """Whether there is more. Whatever kind of failure it is, the others have their turn."""
        most = self._batches.get(whose, _BATCH)
        try:
            count = await self._delete(whose, most)
        except Exception as error:  # noqa: BLE001 - logged, and tried again with less
            self._note(whose, most, error)
            self._batches[whose] = max(1, most // 2)
            return most > 1
        if count:
            self._deleted.labels(whose.kind).inc(count)
            _log.info("old tasks deleted", extra={"fields": {**whose._asdict(), "count": count}})
        if count < most:
            self._batches.pop(whose, None)
        return count >= most

    def _note(self, whose: Whose, most: int, error: Exception) -> None:
        expected = isinstance(error, ServiceError)
        cause = error.detail if isinstance(error, ServiceError) else repr(error)
        fields = {**whose._asdict(), "most": most, "cause": cause}
        _log.warning("old tasks not deleted", exc_info=None if expected else error, extra={"fields": fields})

    async def _list_whose(self) -> list[Whose]:
        """Of tasks that have ended, behind those of the last look: from one to the next by the index."""
        first = select(*_WHOSE).where(_HAS_ENDED)
        if self._after is not None:
            first = first.where(tuple_(*_WHOSE) > tuple_(*self._after))
        begun = first.order_by(*_WHOSE).limit(1).subquery()
        found = select(begun).cte("whose", recursive=True)
        beyond = select(*_WHOSE).where(_HAS_ENDED, tuple_(*_WHOSE) > tuple_(*found.c))
        following = beyond.order_by(*_WHOSE).limit(1).correlate(found).lateral()
        every = found.union_all(select(following).select_from(found.join(following, true())))
        async with self._database.statements() as session:
            return [Whose(*row) for row in await session.execute(select(every).limit(_LOOKED_AT))]

    async def _find_old(self, seen: Sequence[Whose]) -> list[Whose]:
        """Those of them that have something to delete."""
        if not seen:
            return []
        tenants, kinds = (literal(list(names), ARRAY(Text)) for names in zip(*seen, strict=True))
        seconds = literal([self._seconds_of(whose) for whose in seen], ARRAY(Float))
        given = func.unnest(tenants, kinds, seconds).table_valued("tenant_id", "kind", "seconds").render_derived()
        oldest = select(Task.id).where(*_is_old(given.c.tenant_id, given.c.kind, given.c.seconds))
        found = oldest.order_by(Task.finished_at).limit(1).lateral()
        statement = select(given.c.tenant_id, given.c.kind).select_from(given.join(found, true()))
        async with self._database.statements() as session:
            return [Whose(*row) for row in await session.execute(statement)]

    async def _delete(self, whose: Whose, most: int) -> int:
        old = select(Task.id).where(*_is_old(whose.tenant_id, whose.kind, self._seconds_of(whose)))
        batch = old.order_by(Task.finished_at).limit(most).with_for_update(skip_locked=True)
        async with self._database.transaction() as session:
            deleted = await session.scalars(delete(Task).where(Task.id.in_(batch)).returning(Task.id))
            return len(deleted.all())

    def _seconds_of(self, whose: Whose) -> float:
        """Of a kind that is no more too."""
        try:
            own = self._kinds.get(whose.kind).retention_days
        except KindUnknown:
            own = None
        return self._keeping.days_of(*whose, own) * _DAY_SECONDS


def _is_old(tenant_id: Any, kind: Any, seconds: Any) -> list[ColumnElement[bool]]:
    before = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    return [
        Task.tenant_id == tenant_id,
        Task.kind == kind,
        _HAS_ENDED,
        Task.finished_at < before,
        Task.status.not_in(UNFINISHED),
    ]
