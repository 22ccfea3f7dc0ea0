"""Every statement by which a worker moves a task, guarded by status and attempt so that terminal states never change.

Workers serve all tenants: a task is named by its id, which the message carries; once claimed, by id and attempt.
"""

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Uuid,
    case,
    exists,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.domain import (
    CANCELLED,
    LOGGED,
    UNFINISHED,
    AttemptKey,
    Claim,
    Failure,
    TaskStatus,
    storable,
)
from services.tasks.events import tell
from services.tasks.models import Schedule, Task, TaskAttempt, TaskDependency, TaskEvent
from services.tasks.queues import Queues
from services.tasks.turns import IS_DUE, is_none_of, waits_of
from services.tasks.worker.attempt import Attempt, ProgressReport
from services.tasks.worker.claiming import claim, claimable, find_claimed
from services.tasks.worker.kind_places import Waiter, has_place, next_of_kind
from services.tasks.worker.log import LogLine, LogPart
from services.tasks.worker.sending import is_queue_low, send, send_next_of
from shared.identity import Deed
from shared.postgres import Outbox

_MAX_DETAIL_CHARS = 2000
_IS_STOPPED = Task.cancel_requested_at.is_not(None)
_MOST_SENT = 100  # at once; the reconciler sends the others


class WorkRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def claim(self, task_id: str, worker_id: str, lease_seconds: float) -> Claim | None:
        """As `claiming.claim`."""
        return await claim(self._session, task_id, worker_id, lease_seconds)

    async def find_claimed(self, task_id: str, worker_id: str, lease_seconds: float) -> Claim | None:
        """As `claiming.find_claimed`."""
        return await find_claimed(self._session, task_id, worker_id, lease_seconds)

    async def put_off(self, task_id: str) -> None:
        """Let it wait for a place of its owner's, without a message. Nothing happens where it cannot be claimed."""
        await self._session.execute(update(Task).where(Task.id == task_id, *claimable()).values(enqueued_at=None))

    async def renew(
        self, keys: Sequence[AttemptKey], lease_seconds: float, *, skips_locked: bool = False
    ) -> dict[AttemptKey, bool]:
        """Prolong the leases still held; answers which these are, and whether each was asked to stop.

        With `skips_locked` without those whose row somebody else has locked.
        """
        ours = (tuple_(Task.id, Task.attempt).in_(keys), Task.status == TaskStatus.RUNNING)
        free = select(Task.id).where(*ours).order_by(Task.id).with_for_update(skip_locked=skips_locked, key_share=True)
        statement = (
            update(Task)
            .where(*ours, Task.id.in_(free))
            .values(lease_expires_at=func.now() + timedelta(seconds=lease_seconds))
            .returning(Task.id, Task.attempt, Task.cancel_requested_at.is_not(None))
        )
        return _held(await self._session.execute(statement))

    async def look(self, keys: Sequence[AttemptKey]) -> dict[AttemptKey, bool]:
        """What `renew` answers, without prolonging."""
        statement = select(Task.id, Task.attempt, Task.cancel_requested_at.is_not(None)).where(
            tuple_(Task.id, Task.attempt).in_(keys), Task.status == TaskStatus.RUNNING
        )
        return _held(await self._session.execute(statement))

    async def write_progress(self, key: AttemptKey, progress: ProgressReport) -> None:
        """Nothing happens when the attempt is no longer ours."""
        values = {**_progress(progress), "version": Task.version + 1}
        await self._session.execute(update(Task).where(*_ours(key)).values(values))

    async def write_log(self, key: AttemptKey, part: LogPart) -> None:
        """Nothing happens when the attempt is no longer ours; lines that were written already are not written again."""
        columns = (Task.tenant_id, Task.user_id, Task.log_lines, Task.event_number)
        row = (await self._session.execute(select(*columns).where(*_ours(key)).with_for_update())).one_or_none()
        if row is None:
            return
        new = part.lines[max(0, row.log_lines - part.after) :]
        if new:
            await self._session.execute(insert(TaskEvent), [*_logged(key, row, new)])
        counts = {"log_lines": row.log_lines + len(new), "event_number": row.event_number + len(new)}
        counted = update(Task).where(*_ours(key)).values(log_dropped=part.dropped, version=Task.version + 1, **counts)
        await self._session.execute(counted)

    async def succeed(self, attempt: Attempt, result: str) -> TaskStatus | None:
        """As all that end an attempt: the new status, or None when the attempt was no longer ours to end."""
        return await self._end(attempt, status=TaskStatus.SUCCEEDED, result=result, error_code=None, error_detail=None)

    async def fail(self, attempt: Attempt, failure: Failure) -> TaskStatus | None:
        return await self._end(attempt, failure, status=TaskStatus.FAILED, dead_letter=False)

    async def give_up(self, attempt: Attempt, failure: Failure) -> TaskStatus | None:
        """For want of attempts: a dead letter. Cancelled if it was asked to stop, since there would be no other."""
        ended = _unless_stopped(failure, TaskStatus.FAILED)
        return await self._end(attempt, failure, **ended, dead_letter=~_IS_STOPPED)

    async def cancel(self, attempt: Attempt) -> TaskStatus | None:
        return await self._end(attempt, CANCELLED, status=TaskStatus.CANCELLED)

    async def ended_in_vain(self, key: AttemptKey) -> bool:
        """Whether the task ended with this attempt and came to nothing, whoever wrote that."""
        in_vain = Task.status.in_([TaskStatus.FAILED, TaskStatus.CANCELLED])
        return bool(
            await self._session.scalar(select(exists().where(Task.id == key[0], Task.attempt == key[1], in_vain)))
        )

    async def retry(
        self, attempt: Attempt, failure: Failure, delay_seconds: float, *, counts: bool = True
    ) -> TaskStatus | None:
        """Queued until it is due; the reconciler sends the message then. Cancelled if it was asked to stop.

        What does not count leaves the task as many attempts as it had.
        """
        uncounted = {} if counts else {"interruptions": Task.interruptions + 1}
        return await self._requeue(attempt, failure, run_at=func.now() + timedelta(seconds=delay_seconds), **uncounted)

    async def give_back(
        self, attempt: Attempt, failure: Failure, outbox: Outbox, message: dict[str, Any]
    ) -> TaskStatus | None:
        """Queued at once, its message in the same transaction, and not counted as an attempt."""
        status = await self._requeue(
            attempt, failure, run_at=func.now(), enqueued_at=func.now(), interruptions=Task.interruptions + 1
        )
        if status is TaskStatus.QUEUED:
            outbox.add(self._session, **message)
        return status

    async def give_way(self, attempt: Attempt, failure: Failure) -> TaskStatus | None:
        """Queued in its place among its owner's, to be sent in their turn, and not counted as an attempt."""
        return await self._requeue(attempt, failure, interruptions=Task.interruptions + 1)

    async def pause_schedule(self, claim: Claim, failure: Failure) -> None:
        """What it acts with has ended: so that it makes no more of these, until a person resumes it.

        One that was lent another credential since goes on.
        """
        lent = (Schedule.key_id.is_not_distinct_from(claim.key_id), Schedule.scopes == claim.scopes)
        session = Schedule.session_id.is_not_distinct_from(claim.session_id)
        paused = update(Schedule).where(Schedule.id == claim.schedule_id, ~Schedule.is_paused, *lent, session)
        await self._session.execute(paused.values(is_paused=True, version=Schedule.version + 1, **_error(failure)))

    def tell(self, outbox: Outbox, deed: Deed) -> None:
        """In the transaction of what it tells of; `outbox` is to be notified."""
        tell(outbox, self._session, deed)

    async def has_place(self, task_id: str, limits: Mapping[str, int]) -> bool:
        """As `kind_places.has_place`."""
        return await has_place(self._session, task_id, limits)

    async def send_next(self, attempt: Attempt, outbox: Outbox, queues: Queues, *, but: Collection[str] = ()) -> None:
        """As `sending.send_next_of`; `outbox` is to be notified."""
        await send_next_of(self._session, attempt, outbox, queues, but=but)

    async def send_of_kind(
        self, kind: str, limit: int, outbox: Outbox, queues: Queues, *, but: Container[Waiter] = ()
    ) -> None:
        """What has the places of the kind that are free, if anything of no owner in `but` waits for one; `outbox` is to
        be notified."""
        if ids := await next_of_kind(self._session, kind, limit, waits=True, but=but):
            await send(self._session, _due(Task.id.in_(ids)), outbox, queues)

    async def send_released(
        self, attempt: Attempt, outbox: Outbox, queues: Queues, *, but: Collection[str] = ()
    ) -> None:
        """What waited for the end of this task and may begin now, if anything; `outbox` is to be notified."""
        claim = attempt.claim
        if attempt.followers:
            await send(self._session, _due(Task.id.in_(attempt.followers) & is_none_of(but)), outbox, queues)
        if claim.concurrency_key is not None:
            same = (Task.tenant_id == claim.tenant_id) & (Task.concurrency_key == claim.concurrency_key)
            await send(self._session, _due(same & Task.status.in_(UNFINISHED) & is_none_of(but)), outbox, queues)

    async def _requeue(self, attempt: Attempt, failure: Failure, **values: Any) -> TaskStatus | None:
        finished_at = case((_IS_STOPPED, func.now()))
        ended = _unless_stopped(failure, TaskStatus.QUEUED)
        return await self._end(attempt, failure, **ended, finished_at=finished_at, **values)

    async def _end(self, attempt: Attempt, failure: Failure | None = None, **values: Any) -> TaskStatus | None:
        error = {} if failure is None else _error(failure)
        progress = {} if attempt.progress is None else _progress(attempt.progress)
        common = {"finished_at": func.now(), "lease_expires_at": None, "worker_id": None, "version": Task.version + 1}
        ended = (
            update(Task)
            .where(*_ours(attempt.claim.key))
            .values({**common, **error, **progress, **values})
            .returning(Task.id, Task.attempt, Task.status)
            .cte("ended")
        )
        closed = (
            update(TaskAttempt)
            .where(TaskAttempt.task_id == ended.c.id, TaskAttempt.number == ended.c.attempt)
            .values({"finished_at": func.now(), **error})
            .cte("closed")
        )
        waiting = exists().where(waits_of(attempt.claim))  # read with the rest: most often there is nobody
        low = case((waiting, is_queue_low(attempt.claim)), else_=False)
        look = select(ended.c.status, waiting, _followers(attempt.claim), low).add_cte(closed)
        row = (await self._session.execute(look)).one_or_none()
        attempt.leaves_others_waiting = row is not None and row[1]
        attempt.leaves_queue_low = row is not None and row[3]
        attempt.followers = [] if row is None else row[2]
        return None if row is None else TaskStatus(row[0])


def _unless_stopped(failure: Failure, status: TaskStatus) -> dict[str, Any]:
    """What becomes of the task: what it was asked to, where somebody did."""
    otherwise = {"status": status.value, **_error(failure)}
    stopped = {"status": TaskStatus.CANCELLED.value, **_error(CANCELLED)}
    return {name: case((_IS_STOPPED, stopped[name]), else_=otherwise[name]) for name in stopped}


def _due(which: ColumnElement[bool]) -> Select[str]:
    return select(Task.id).where(which, IS_DUE).with_for_update(skip_locked=True)


def _followers(claim: Claim) -> ColumnElement[list[str]]:
    """As the statement begins: the trigger that lets them go comes after it."""
    theirs = select(TaskDependency.task_id).where(TaskDependency.after_id == claim.id).limit(_MOST_SENT)
    return func.array(theirs.scalar_subquery(), type_=ARRAY(Uuid(as_uuid=False)))


def _ours(key: AttemptKey) -> list[Any]:
    return [Task.id == key[0], Task.attempt == key[1], Task.status == TaskStatus.RUNNING]


def _held(rows: Any) -> dict[AttemptKey, bool]:
    return {(row[0], row[1]): row[2] for row in rows}


def _logged(key: AttemptKey, task: Any, lines: Sequence[LogLine]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=task.event_number + 1):
        yield {
            "task_id": key[0],
            "number": number,
            "tenant_id": task.tenant_id,
            "user_id": task.user_id,
            "type": LOGGED,
            "at": line.at,
            "body": {"attempt": key[1], "level": line.level.value, "message": line.message},
        }


def _progress(progress: ProgressReport) -> dict[str, Any]:
    return {
        "progress_done": progress.done,
        "progress_total": progress.total,
        "progress_message": progress.message,
    }


def _error(failure: Failure) -> dict[str, str]:
    return {"error_code": failure.code[:100], "error_detail": storable(failure.detail, _MAX_DETAIL_CHARS)}
