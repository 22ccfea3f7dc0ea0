"""How tasks are begun: their rows become this worker's, and an attempt of each is recorded, by one statement."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Float,
    Select,
    Uuid,
    any_,
    cast,
    extract,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.domain import Claim, TaskStatus
from services.tasks.models import Task, TaskAttempt
from services.tasks.turns import IS_FREE, IS_RUNNING, is_none_of

_CLAIMED = [getattr(Task, name) for name in Claim.__dataclass_fields__ if name not in ("age_seconds", "late_seconds")]


def claimable() -> list[ColumnElement[bool]]:
    """What is so of a task that may begin now."""
    is_late = Task.started_at.is_(None) & (Task.start_before <= func.now())
    return [
        Task.status == TaskStatus.QUEUED,
        Task.enqueued_at.is_not(None),
        IS_FREE,  # a reconciler that knows of no waiting may have sent it: one of before, while replicas change
        is_late.is_not(True),
    ]


async def claim(session: AsyncSession, task_id: str, worker_id: str, lease_seconds: float) -> Claim | None:
    """The task, now running here; None when it is not there to be had: taken, finished, or not due."""
    found = await session.execute(_begun([Task.id == task_id], worker_id, lease_seconds))
    row = found.mappings().one_or_none()
    return None if row is None else Claim(**row)


async def claim_free(
    session: AsyncSession, ids: Sequence[str], worker_id: str, lease_seconds: float, *, but: Collection[str]
) -> dict[str, Claim]:
    """The same of all of these, by their ids, that are of no kind in `but` and whose rows nobody has locked."""
    these = Task.id == any_(literal(list(ids), ARRAY(Uuid(as_uuid=False))))
    free = select(Task.id).where(these, *claimable(), is_none_of(but)).order_by(Task.id)
    which = [these, Task.id.in_(free.with_for_update(skip_locked=True))]
    rows = (await session.execute(_begun(which, worker_id, lease_seconds))).mappings()
    return {row["id"]: Claim(**row) for row in rows}


async def find_claimed(session: AsyncSession, task_id: str, worker_id: str, lease_seconds: float) -> Claim | None:
    """The task as this worker has claimed it, its lease prolonged; None when it does not run here.

    For whoever was not told that they have it. Of two who ask, both have it.
    """
    prolonged = update(Task).where(Task.id == task_id, IS_RUNNING, Task.worker_id == worker_id)
    found = await session.execute(prolonged.values(lease_expires_at=_after(lease_seconds)).returning(*_as_claim()))
    row = found.mappings().one_or_none()
    return None if row is None else Claim(**row)


def _begun(which: Sequence[ColumnElement[bool]], worker_id: str, lease_seconds: float) -> Select[Any]:
    claimed = (
        update(Task)
        .where(*which, *claimable())
        .values(
            status=TaskStatus.RUNNING,
            attempt=Task.attempt + 1,
            worker_id=worker_id,
            lease_expires_at=_after(lease_seconds),
            enqueued_at=None,
            started_at=func.coalesce(Task.started_at, func.now()),
            version=Task.version + 1,
        )
        .returning(*_as_claim())
        .cte("claimed")
    )
    recorded = (
        insert(TaskAttempt)
        .from_select(
            ["task_id", "number", "worker_id", "started_at"],
            select(claimed.c.id, claimed.c.attempt, literal(worker_id), func.now()),
        )
        .cte("recorded")
    )
    return select(claimed).add_cte(recorded)


def _as_claim() -> list[Any]:
    """The members of a `Claim`."""
    ages = (_seconds_since(Task.started_at, "age_seconds"), _seconds_since(Task.run_at, "late_seconds"))
    return [*_CLAIMED, *ages]


def _after(seconds: float) -> Any:
    return func.now() + timedelta(seconds=seconds)


def _seconds_since(moment: Any, name: str) -> Any:
    return cast(extract("epoch", func.now() - moment), Float).label(name)
