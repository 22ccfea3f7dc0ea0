"""Which tasks of those that the caller may see: what a list is narrowed by, as conditions of a statement.

Each filter has an index of the table. Ids are in the order of time, so a stretch of time is one of the list too.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, literal, not_

from services.tasks.domain import Priority, TaskStatus
from services.tasks.models import Task
from shared.schemas import rfc3339

_LATE: Final = timedelta(minutes=1)  # longer than a task waits for its id
# Written out, so that a plan made once for all values can use the index.
_UNSETTLED: Final = and_(
    Task.status == literal(TaskStatus.FAILED.value, literal_execute=True),
    Task.replayed_as.is_(None),
    Task.discarded_at.is_(None),
)


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """What a task must have; None for any."""

    status: TaskStatus | None = None
    kind: str | None = None
    parent_id: str | None = None
    priority: Priority | None = None
    error_code: str | None = None
    dead_letter: bool | None = None
    unsettled: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    finished_after: datetime | None = None
    finished_before: datetime | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        for name in ("status", "kind", "parent_id", "priority", "error_code"):
            if (value := getattr(self, name)) is not None:
                yield getattr(Task, name) == value
        if self.dead_letter is not None:
            yield and_(Task.dead_letter) if self.dead_letter else not_(Task.dead_letter)
        if self.unsettled is not None:
            yield unsettled() if self.unsettled else not_(unsettled())
        yield from self._times()

    def _times(self) -> Iterator[ColumnElement[bool]]:
        if self.created_after is not None:
            yield and_(Task.created_at > self.created_after, Task.id >= first_id(self.created_after))
        if self.created_before is not None:
            yield and_(Task.created_at < self.created_before, Task.id < first_id(self.created_before, _LATE))
        if self.finished_after is not None:
            yield Task.finished_at > self.finished_after
        if self.finished_before is not None:
            yield Task.finished_at < self.finished_before

    def members(self) -> list[Any]:
        """What a cursor is bound to, as JSON values."""
        return [rfc3339(one) if isinstance(one, datetime) else one for one in asdict(self).values()]


def unsettled() -> ColumnElement[bool]:
    """Of tasks that failed: nobody has replayed or discarded it yet."""
    return _UNSETTLED


def first_id(moment: datetime, later: timedelta = timedelta()) -> str:
    """No id made at `moment` or after is before this."""
    milliseconds = max(0, int(moment.timestamp() * 1000) + later // timedelta(milliseconds=1))
    return str(UUID(int=min(milliseconds, 2**48 - 1) << 80))
