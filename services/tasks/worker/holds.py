"""What tasks have to themselves while they work, and whether others have ended: the state of tasks decides both.

A hold is worth what its task does. One whose worker was killed ends with its attempt, as the reconciler finds; and one
that was broken off lasts as long as what it had asked other services for may still be done.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, exists, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.domain import TRANSITIONS, Claim, TaskStatus
from services.tasks.errors import DocumentInUse, may_pass
from services.tasks.models import Task, TaskAttempt, TaskHold
from shared.errors import ServiceError, Unavailable
from shared.postgres import Database

_LATE_SECONDS: Final = 150  # longer than any call of a handler that writes
_TAKE_TURN: Final = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('tasks.holds:' || CAST(:tenant_id AS text), 0))"
)
_ENDED: Final = [status for status in TaskStatus if not TRANSITIONS[status]]


class Holds:
    """Built once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def holding(self, claim: Claim, names: Sequence[str]) -> AsyncIterator[None]:
        """As `Context.holding`."""
        if not names:
            yield
            return
        async with self._database.transaction() as session:
            await _take(session, claim, names)
        try:
            yield
        except asyncio.CancelledError:
            raise  # what was under way may still be done
        except ServiceError as error:
            if not may_pass(error):
                await self._give_back(claim)
            raise
        except BaseException:
            await self._give_back(claim)
            raise
        await self._give_back(claim)

    async def _give_back(self, claim: Claim) -> None:
        async with self._database.transaction() as session:
            await session.execute(delete(TaskHold).where(TaskHold.task_id == claim.id, _is_current(claim)))

    async def has_ended(self, tenant_id: str, task_id: str) -> bool:
        """As `Context.has_ended`."""
        is_over = Task.status.in_(_ENDED)
        statement = select(exists().where(Task.id == task_id, Task.tenant_id == tenant_id, is_over))
        async with self._database.session() as session:
            return bool(await session.scalar(statement))


async def _take(session: AsyncSession, claim: Claim, names: Sequence[str]) -> None:
    """One after the other in a tenant, so that what is read here stays so until it is committed."""
    of_tenant = TaskHold.tenant_id == claim.tenant_id
    await session.execute(_TAKE_TURN, {"tenant_id": claim.tenant_id})
    if not await session.scalar(select(_is_current(claim))):
        raise Unavailable("tasks", detail="The attempt is over: another goes on with its task.")
    await session.execute(delete(TaskHold).where(of_tenant, (TaskHold.task_id == claim.id) | ~_is_at_work()))
    if await session.scalar(select(exists().where(of_tenant, TaskHold.name.in_(names)))):
        raise DocumentInUse
    rows: list[dict[str, Any]] = [
        {"tenant_id": claim.tenant_id, "name": name, "task_id": claim.id} for name in sorted(set(names))
    ]
    await session.execute(insert(TaskHold), rows)


def _is_current(claim: Claim) -> ColumnElement[bool]:
    """Whether no other attempt goes on with the task: then what it holds is no longer this one's."""
    return exists().where(Task.id == claim.id, Task.attempt == claim.attempt, Task.status == TaskStatus.RUNNING)


def _is_at_work() -> ColumnElement[bool]:
    """Whether an attempt of the task that holds is under way, or was until a moment ago."""
    late = func.now() - timedelta(seconds=_LATE_SECONDS)
    is_recent = TaskAttempt.finished_at.is_(None) | (TaskAttempt.finished_at > late)
    return exists().where(TaskAttempt.task_id == TaskHold.task_id, is_recent).correlate(TaskHold)
