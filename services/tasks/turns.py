"""Whose turn it is among the tasks that are due and not sent: some of each owner, whatever the backlog of another.

Sent to a worker, a task takes one of its owner's places there, or is put off and waits here again.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    ScalarSelect,
    Select,
    Subquery,
    and_,
    exists,
    func,
    literal,
    select,
    true,
    tuple_,
)
from sqlalchemy.orm import InstrumentedAttribute

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
IS_RUNNING = Task.status == literal(TaskStatus.RUNNING.value, literal_execute=True)
_QUEUE = (Task.kind, *_OWNER)
# The same, said otherwise, as `ix_task_queue` has it: so that no plan goes by another index of what is unsent, through
# all that an owner has of other kinds.
_IS_UNSENT_OF_A_KIND = and_(
    Task.status == literal(TaskStatus.QUEUED.value, literal_execute=True),
    Task.enqueued_at.is_(None),
    Task.waiting_for < literal(1, literal_execute=True),
    ~Task.waits_for_key,
)


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


def number_sent(owner: Owner, most: int, *, outer: FromClause | None = None) -> ScalarSelect[int]:
    """How many are sent, begun by nobody, and of that owner, counted to `most`; `outer` is where the owner is from."""
    theirs = select(literal(1)).where(sent_of(owner)).limit(most)
    if outer is not None:
        theirs = theirs.correlate(outer)
    return select(func.count()).select_from(theirs.subquery()).scalar_subquery()


def _is_of(owner: Owner) -> ColumnElement[bool]:
    theirs = zip(_OWNER, (owner.priority, owner.tenant_id, owner.user_id), strict=True)
    return and_(*(column == value for column, value in theirs))


def is_none_of(kinds: Collection[str], kind: Any = Task.kind) -> ColumnElement[bool]:
    """Whether a task is of another kind: those of which only so many run at once are sent by `KindPlaces` alone."""
    return kind.not_in(kinds) if kinds else true()


def next_of(owner: Owner, most: int, *, but: Collection[str] = ()) -> Select[str]:
    """The ids of those that wait for longest, and are of no kind in `but`; what is of these is not looked at."""
    if not but:
        oldest = select(Task.id).where(waits_of(owner)).order_by(Task.run_at).limit(most)
        return oldest.with_for_update(skip_locked=True)
    kinds = _each("kind_waiting", [Task.kind])
    theirs = _oldest(kinds.c.kind, owner, most).with_for_update(skip_locked=True).correlate(kinds).lateral()
    found = select(theirs.c.id).select_from(kinds.join(theirs, true())).where(is_none_of(but, kinds.c.kind))
    chosen = found.order_by(theirs.c.run_at).limit(most).cte("chosen")
    return select(chosen.c.id)


def next_of_each(most: int, *, at_once: int, sent: int, but: Collection[str] = ()) -> Select[str]:
    """The same of every owner with fewer than `sent` in the queue, `at_once` in all: the oldest of each first."""
    queues = _each("queue", _QUEUE)
    theirs = _oldest(queues.c.kind, queues.c, most).correlate(queues).lateral()
    of_owner = (queues.c.priority, queues.c.tenant_id, queues.c.user_id)
    place = func.row_number().over(partition_by=of_owner, order_by=theirs.c.run_at).label("place")
    found = select(theirs.c.id, theirs.c.run_at, place).select_from(queues.join(theirs, true()))
    has_room = number_sent(queues.c, sent, outer=queues) < literal(sent)
    ranked = found.where(is_none_of(but, queues.c.kind), has_room).cte("ranked")
    return select(ranked.c.id).where(ranked.c.place <= most).order_by(ranked.c.place, ranked.c.run_at).limit(at_once)


def unserved_since(limited: Collection[str] = ()) -> Select[datetime | None]:
    """Since when the oldest waits, of those that no worker serves: a task of a `limited` kind waits for its kind's."""
    queues = _each("queue", _QUEUE)
    oldest = _oldest(queues.c.kind, queues.c, 1).correlate(queues).lateral()
    waits_for_none = is_none_of(limited, queues.c.kind) | ~_is_kind_served(queues.c.kind)
    waiting = select(func.min(oldest.c.run_at)).select_from(queues.join(oldest, true()))
    return waiting.where(~is_served(queues.c), waits_for_none)


def is_served(owner: Any) -> ColumnElement[bool]:
    """Whether the tenant has something of that priority running: then what else it has waits for its own."""
    return exists().where(IS_RUNNING, Task.priority == owner.priority, Task.tenant_id == owner.tenant_id)


def of_kind(kind: str, columns: Sequence[InstrumentedAttribute[Any]], most: int) -> Subquery:
    """These columns of every owner's tasks of the kind that wait for longest, so many of each."""
    owners = _each("owner", _OWNER, Task.kind == kind)
    oldest = _oldest(kind, owners.c, most, columns).correlate(owners).lateral()
    return select(*oldest.c).select_from(owners.join(oldest, true())).subquery()


def _is_kind_served(kind: Any) -> ColumnElement[bool]:
    """Whether something of the kind is running."""
    return exists().where(IS_RUNNING, Task.kind == kind)


def _oldest(kind: Any, owner: Owner, most: int, columns: Sequence[Any] = (Task.id, Task.run_at)) -> Select[Any]:
    """Of what is due and not sent of that kind and owner, by `ix_task_queue`."""
    theirs = zip(_QUEUE, (kind, owner.priority, owner.tenant_id, owner.user_id), strict=True)
    due = and_(_IS_UNSENT_OF_A_KIND, Task.run_at <= func.now(), *(column == value for column, value in theirs))
    return select(*columns).where(due).order_by(Task.run_at).limit(most)


def _each(name: str, columns: Sequence[Any], *which: ColumnElement[bool]) -> CTE:
    """What there is in these columns of something unsent, once: from one to the next by `ix_task_queue`, of which they
    are the first, not through what each has."""
    wanted = and_(_IS_UNSENT_OF_A_KIND, *which)
    first = select(*columns).where(wanted).order_by(*columns).limit(1).subquery()
    found = select(first).cte(name, recursive=True)
    beyond = tuple_(*columns) > tuple_(*found.c)
    following = select(*columns).where(wanted, beyond).order_by(*columns).limit(1).correlate(found).lateral()
    return found.union_all(select(following).select_from(found.join(following, true())))
