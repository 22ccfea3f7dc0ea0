"""Whose turn it is among the tasks that are due and not sent: some of each owner, whatever the backlog of another.

Sent to a worker, a task takes one of its owner's places there, or is put off and waits here again.
"""

from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import CTE, ColumnElement, Select, and_, exists, func, literal, select, true, tuple_

from services.tasks.domain import TaskStatus
from services.tasks.models import Task

_OWNER = (Task.priority, Task.tenant_id, Task.user_id)
# Written out, so that a plan made once for all statuses can use the index of this one.
IS_FREE = (Task.waiting_for == literal(0, literal_execute=True)) & ~Task.waits_for_key
"""Waits for no other task and has its turn among those of its key."""
_UNSENT = and_(
    Task.status == literal(TaskStatus.QUEUED.value, literal_execute=True), Task.enqueued_at.is_(None), IS_FREE
)
IS_DUE = _UNSENT & (Task.run_at <= func.now())


class Owner(Protocol):
    """Whose a task is, and of which priority: of a claim in text, of a table in columns."""

    @property
    def priority(self) -> Any: ...
    @property
    def tenant_id(self) -> Any: ...
    @property
    def user_id(self) -> Any: ...


def waits_of(owner: Owner) -> ColumnElement[bool]:
    """Due, not sent, and of that owner."""
    theirs = zip(_OWNER, (owner.priority, owner.tenant_id, owner.user_id), strict=True)
    return and_(IS_DUE, *(column == value for column, value in theirs))


def next_of(owner: Owner, most: int) -> Select[str]:
    """The ids of those that wait for longest."""
    oldest = select(Task.id).where(waits_of(owner)).order_by(Task.run_at).limit(most)
    return oldest.with_for_update(skip_locked=True)


def next_of_each(most: int) -> Select[str]:
    """The same of every owner."""
    owners = _owners()
    theirs = next_of(owners.c, most).correlate(owners).lateral()
    chosen = select(theirs.c.id).select_from(owners.join(theirs, true())).cte("chosen")
    return select(chosen.c.id)


def unserved_since() -> Select[datetime | None]:
    """Since when the oldest waits, of those that no worker serves."""
    owners = _owners()
    oldest = select(Task.run_at).where(waits_of(owners.c)).order_by(Task.run_at).limit(1).correlate(owners).lateral()
    return select(func.min(oldest.c.run_at)).select_from(owners.join(oldest, true())).where(~is_served(owners.c))


def is_served(owner: Any) -> ColumnElement[bool]:
    """Whether the tenant has something of that priority running: then what else it has waits for its own."""
    running = Task.status == literal(TaskStatus.RUNNING.value, literal_execute=True)
    return exists().where(running, Task.priority == owner.priority, Task.tenant_id == owner.tenant_id)


def _owners() -> CTE:
    """Each owner of something unsent, once: from one to the next by the index, not through what they have."""
    first = select(*_OWNER).where(_UNSENT).order_by(*_OWNER).limit(1).subquery()
    owners = select(first).cte("owner", recursive=True)
    beyond = tuple_(*_OWNER) > tuple_(*owners.c)
    following = select(*_OWNER).where(_UNSENT, beyond).order_by(*_OWNER).limit(1).correlate(owners).lateral()
    return owners.union_all(select(following).select_from(owners.join(following, true())))
