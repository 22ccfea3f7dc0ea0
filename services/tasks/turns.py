"""Whose turn it is among the tasks that are due and not sent: some of each owner, whatever the backlog of another.

Sent to a worker, a task takes one of its owner's places there, or is put off and waits here again.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import CTE, ColumnElement, Select, and_, exists, func, literal, select, true, tuple_
from sqlalchemy.orm import aliased

from services.tasks.domain import TaskStatus
from services.tasks.models import Task

_OWNER = (Task.priority, Task.tenant_id, Task.user_id)
# Written out, so that a plan made once for all statuses can use the index of this one.
IS_FREE = (Task.waiting_for == literal(0, literal_execute=True)) & ~Task.waits_for_key
"""Waits for no other task and has its turn among those of its key."""
IS_UNSENT = and_(
    Task.status == literal(TaskStatus.QUEUED.value, literal_execute=True), Task.enqueued_at.is_(None), IS_FREE
)
IS_DUE = IS_UNSENT & (Task.run_at <= func.now())
IS_SENT = and_(Task.status == literal(TaskStatus.QUEUED.value, literal_execute=True), Task.enqueued_at.is_not(None))


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
    return IS_DUE & _is_of(owner)


def sent_of(owner: Owner) -> ColumnElement[bool]:
    """Sent, begun by nobody, and of that owner."""
    return IS_SENT & _is_of(owner)


def _is_of(owner: Owner) -> ColumnElement[bool]:
    theirs = zip(_OWNER, (owner.priority, owner.tenant_id, owner.user_id), strict=True)
    return and_(*(column == value for column, value in theirs))


def is_none_of(kinds: Collection[str], kind: Any = Task.kind) -> ColumnElement[bool]:
    """Whether a task is of another kind: those of which only so many run at once are sent by `KindPlaces` alone."""
    return kind.not_in(kinds) if kinds else true()


def next_of(owner: Owner, most: int, *, but: Collection[str] = ()) -> Select[str]:
    """The ids of those that wait for longest, and are of no kind in `but`."""
    oldest = select(Task.id).where(waits_of(owner), is_none_of(but)).order_by(Task.run_at).limit(most)
    return oldest.with_for_update(skip_locked=True)


def next_of_each(most: int, *, but: Collection[str] = ()) -> Select[str]:
    """The same of every owner."""
    owners = owners_waiting()
    theirs = next_of(owners.c, most, but=but).correlate(owners).lateral()
    chosen = select(theirs.c.id).select_from(owners.join(theirs, true())).cte("chosen")
    return select(chosen.c.id)


def unserved_since(limited: Collection[str] = ()) -> Select[datetime | None]:
    """Since when the oldest waits, of those that no worker serves: a task of a `limited` kind waits for its kind's."""
    owners = owners_waiting()
    theirs = select(Task.run_at).where(waits_of(owners.c), is_none_of(limited) | ~_is_kind_served())
    oldest = theirs.order_by(Task.run_at).limit(1).correlate(owners).lateral()
    return select(func.min(oldest.c.run_at)).select_from(owners.join(oldest, true())).where(~is_served(owners.c))


def is_served(owner: Any) -> ColumnElement[bool]:
    """Whether the tenant has something of that priority running: then what else it has waits for its own."""
    running = Task.status == literal(TaskStatus.RUNNING.value, literal_execute=True)
    return exists().where(running, Task.priority == owner.priority, Task.tenant_id == owner.tenant_id)


def _is_kind_served() -> ColumnElement[bool]:
    """Whether something of the task's kind is running."""
    other = aliased(Task)
    running = other.status == literal(TaskStatus.RUNNING.value, literal_execute=True)
    return exists().where(running, other.kind == Task.kind).correlate(Task)


def owners_waiting() -> CTE:
    """Each owner of something unsent, once: from one to the next by the index, not through what they have."""
    first = select(*_OWNER).where(IS_UNSENT).order_by(*_OWNER).limit(1).subquery()
    owners = select(first).cte("owner", recursive=True)
    beyond = tuple_(*_OWNER) > tuple_(*owners.c)
    following = select(*_OWNER).where(IS_UNSENT, beyond).order_by(*_OWNER).limit(1).correlate(owners).lateral()
    return owners.union_all(select(following).select_from(owners.join(following, true())))
