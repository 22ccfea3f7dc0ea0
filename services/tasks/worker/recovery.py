"""The statements that bring tasks back. Each takes rows that nobody else holds, so that workers can share the job."""

from collections.abc import Collection, Container, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, ColumnElement, Select, Uuid, any_, case, exists, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.backlog import MOST_SENT
from services.tasks.domain import (
    CANCELLED,
    DEPENDENCY_FAILED,
    EXPIRED,
    WORKER_LOST,
    Failure,
    Priority,
    TaskStatus,
    Ticket,
    are_attempts_used_up,
)
from services.tasks.models import OutboxRow, Task, TaskAttempt
from services.tasks.turns import IS_DUE, IS_FREE, IS_RUNNING, next_of_each
from services.tasks.worker.kind_places import Waiter, next_of_kind

BATCH = 500
_MOST_DUE = 2000
_MOST_IN_QUEUE = 2 * MOST_SENT  # so that those go on whose hundred was lost with its queue
# Written out, so that a plan made once for all statuses can use the index of this one.
_QUEUED = Task.status == literal(TaskStatus.QUEUED.value, literal_execute=True)


class Recovered(NamedTuple):
    """A task whose state was set right; one that is queued needs a message with the same transaction."""

    id: str
    tenant_id: str
    user_id: str
    kind: str
    priority: str
    traceparent: str | None
    status: str

    @property
    def ticket(self) -> Ticket:
        return Ticket(self.id, self.tenant_id, self.user_id, self.kind)


class RecoveryRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def take_due(self, most: int, *, but: Collection[str] = ()) -> list[Recovered]:
        """Delayed tasks and retries whose time has come, and what was put off: so many of each owner, the oldest, of no
        kind in `but`, and some thousands in all.

        None of an owner of whom many are in the queue, taken by nobody: others would stand behind what is added to
        these each second, for as long as all slots are taken.
        """
        if not await self._session.scalar(select(exists().where(IS_DUE))):
            return []  # without asking each owner of something that is due later
        which = next_of_each(most, at_once=_MOST_DUE, sent=_MOST_IN_QUEUE, but=but)
        return await self._enqueue_free((await self._session.scalars(which)).all())

    async def take_of_kind(self, kind: str, limit: int, *, but: Container[Waiter] = ()) -> list[Recovered]:
        """Those that have the free places of a kind of which so many run at once, of no owner in `but`; none while
        another looks."""
        ids = await next_of_kind(self._session, kind, limit, waits=False, but=but)
        return await self._enqueue_free(ids)

    async def take_unheard(self, priority: Priority, seconds: float) -> list[Recovered]:
        """Tasks whose message was written so long ago."""
        return await self._enqueue(_free(_is_unheard(priority, seconds), Task.enqueued_at))

    async def has_unheard(self, priority: Priority, seconds: float) -> bool:
        """Whether there are tasks whose message was written, and has left the outbox, so long ago."""
        unsent = exists().where(OutboxRow.routing_key == priority)
        statement = select(exists().where(_is_unheard(priority, seconds)) & ~unsent)
        return bool(await self._session.scalar(statement))

    async def _enqueue_free(self, ids: Sequence[str]) -> list[Recovered]:
        """Those of them that are still due and that nobody else has in hand, in this order."""
        if not ids:
            return []
        these = Task.id == any_(literal(list(ids), ARRAY(Uuid(as_uuid=False))))
        taken = await self._enqueue(select(Task.id).where(these, IS_DUE).with_for_update(skip_locked=True))
        places = {task_id: place for place, task_id in enumerate(ids)}
        return sorted(taken, key=lambda task: places[task.id])

    async def _enqueue(self, which: Select[str]) -> list[Recovered]:
        statement = update(Task).where(Task.id.in_(which)).values(enqueued_at=func.now()).returning(*_columns(Task))
        return [Recovered(*row) for row in await self._session.execute(statement)]

    async def has_lapsed(self) -> bool:
        """Whether there is a task whose lease nobody renewed."""
        return bool(await self._session.scalar(select(exists().where(_is_lapsed()))))

    async def take_lapsed(self) -> list[Recovered]:
        """Tasks whose worker fell silent: queued for another, unless asked to stop or out of attempts."""
        stop = Task.cancel_requested_at.is_not(None)
        used_up: ColumnElement[bool] = are_attempts_used_up(Task)
        lapsed = (
            update(Task)
            .where(Task.id.in_(_free(_is_lapsed(), Task.lease_expires_at)))
            .values(
                status=case((stop, TaskStatus.CANCELLED), (used_up, TaskStatus.FAILED), else_=TaskStatus.QUEUED),
                dead_letter=~stop & used_up,
                error_code=case((stop, CANCELLED.code), else_=WORKER_LOST.code),
                error_detail=case((stop, CANCELLED.detail), else_=WORKER_LOST.detail),
                run_at=case((stop | used_up, Task.run_at), else_=func.now()),
                enqueued_at=case((stop | used_up, None), else_=func.now()),
                finished_at=case((stop | used_up, func.now())),
                lease_expires_at=None,
                worker_id=None,
                version=Task.version + 1,
            )
            .returning(*_columns(Task), Task.attempt)
            .cte("lapsed")
        )
        closed = (
            update(TaskAttempt)
            .where(TaskAttempt.task_id == lapsed.c.id, TaskAttempt.number == lapsed.c.attempt)
            .values(finished_at=func.now(), **_as_columns(WORKER_LOST))
            .cte("closed")
        )
        rows = await self._session.execute(select(*_columns(lapsed.c)).add_cte(closed))
        return [Recovered(*row) for row in rows]

    async def expire_unsent(self, days: float) -> list[Recovered]:
        """Tasks that could have started so long ago, and wait for their owner's turn."""
        overdue = IS_DUE & (Task.run_at < func.now() - timedelta(days=days))
        return await self._finish(TaskStatus.EXPIRED, EXPIRED, overdue, Task.run_at)

    async def expire_unheard(self, days: float) -> list[Recovered]:
        """Tasks whose message was written so long ago, and nobody took it."""
        overdue = _QUEUED & IS_FREE & (Task.enqueued_at < func.now() - timedelta(days=days))
        return await self._finish(TaskStatus.EXPIRED, EXPIRED, overdue, Task.enqueued_at)

    async def expire_late(self) -> list[Recovered]:
        """Tasks that should have started by now, by their own word."""
        late = _QUEUED & Task.started_at.is_(None) & (Task.start_before <= func.now())
        return await self._finish(TaskStatus.EXPIRED, EXPIRED, late, Task.start_before)

    async def cancel_doomed(self) -> list[Recovered]:
        """Tasks that wait for what will not come; what waits for these is found the next time."""
        return await self._finish(TaskStatus.CANCELLED, DEPENDENCY_FAILED, _QUEUED & Task.dependency_failed, Task.id)

    async def _finish(
        self, status: TaskStatus, why: Failure, which: ColumnElement[bool], order: Any
    ) -> list[Recovered]:
        """`order` is what the index of `which` is of."""
        statement = (
            update(Task)
            .where(Task.id.in_(_free(which, order)))
            .values(
                status=status,
                finished_at=func.now(),
                version=Task.version + 1,
                **_as_columns(why),
            )
            .returning(*_columns(Task))
        )
        return [Recovered(*row) for row in await self._session.execute(statement)]


def _columns(table: Any) -> list[Any]:
    """What a `Recovered` is made of."""
    return [getattr(table, name) for name in Recovered._fields]


def _is_unheard(priority: Priority, seconds: float) -> ColumnElement[bool]:
    return _QUEUED & (Task.enqueued_at < func.now() - timedelta(seconds=seconds)) & (Task.priority == priority)


def _is_lapsed() -> ColumnElement[bool]:
    return IS_RUNNING & (Task.lease_expires_at < func.now())


def _free(which: ColumnElement[bool], order: Any) -> Select[str]:
    return select(Task.id).where(which).order_by(order).limit(BATCH).with_for_update(skip_locked=True)


def _as_columns(failure: Failure) -> dict[str, str]:
    return {"error_code": failure.code, "error_detail": failure.detail}
