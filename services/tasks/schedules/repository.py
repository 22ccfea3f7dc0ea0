"""Every statement about schedules: of their makers, each with tenant and user, and of the worker that sees to all."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.errors import ScheduleNotFound, TooManySchedules
from services.tasks.models import Schedule, Task
from services.tasks.planning import leads, plan_anew
from services.tasks.repository import SUMMARY_ONLY

MOST_OF_A_USER: Final = 100
_TAKE_TURN: Final = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('tasks.schedules:' || CAST(:owner AS text), 0))"
)


class ScheduleRepository:
    """The schedules of one user of a tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str, user_id: str) -> None:
        self._session, self._owner = session, f"{tenant_id}:{user_id}"
        self._theirs = (Schedule.tenant_id == tenant_id, Schedule.user_id == user_id)
        self._tasks = (Task.tenant_id == tenant_id, Task.user_id == user_id)

    async def create(self, row: dict[str, Any]) -> None:
        """Raises TooManySchedules; of two at once one waits for the other here."""
        await self._session.execute(_TAKE_TURN, {"owner": self._owner})
        count = await self._session.scalar(select(func.count()).select_from(Schedule).where(*self._theirs))
        if (count or 0) >= MOST_OF_A_USER:
            raise TooManySchedules(MOST_OF_A_USER)
        await self._session.execute(insert(Schedule), [row])

    async def get(self, schedule_id: str, *, locked: bool = False) -> Schedule:
        """Raises ScheduleNotFound."""
        statement = select(Schedule).where(*self._theirs, Schedule.id == schedule_id)
        schedule = await self._session.scalar(statement.with_for_update() if locked else statement)
        if schedule is None:
            raise ScheduleNotFound
        return schedule

    async def list_newest(self, after: str | None, limit: int) -> list[Schedule]:
        statement = select(Schedule).where(*self._theirs).order_by(Schedule.id.desc()).limit(limit)
        if after is not None:
            statement = statement.where(Schedule.id < after)
        return list((await self._session.scalars(statement)).all())

    async def delete(self, schedule: Schedule) -> None:
        """What it has made stays."""
        await self._session.execute(delete(Schedule).where(*self._theirs, Schedule.id == schedule.id))

    async def list_runs(self, schedule_id: str, after: str | None, limit: int) -> list[Task]:
        """Up to `limit` of the tasks it made, newest first, older than `after`, without input and result."""
        statement = select(Task).where(*self._tasks, leads(Task.schedule_id, schedule_id))
        if after is not None:
            statement = statement.where(Task.id < after)
        statement = statement.order_by(Task.schedule_id, Task.id.desc()).limit(limit).options(SUMMARY_ONLY)
        await plan_anew(self._session)
        return list((await self._session.scalars(statement)).all())


async def take_due(session: AsyncSession, kinds: Collection[str], but: Collection[str] = ()) -> Schedule | None:
    """The one that is due for longest, of `kinds`, held to the end of the transaction: no other worker has it."""
    statement = (
        select(Schedule)
        .where(~Schedule.is_paused, Schedule.next_at <= func.now(), Schedule.kind.in_(kinds), Schedule.id.not_in(but))
        .order_by(Schedule.next_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    schedule: Schedule | None = await session.scalar(statement)
    return schedule


async def hold(session: AsyncSession, schedule_id: str) -> Schedule | None:
    """That one, held to the end of the transaction, unless another has it, or it is paused or gone."""
    which = select(Schedule).where(Schedule.id == schedule_id, ~Schedule.is_paused)
    schedule: Schedule | None = await session.scalar(which.with_for_update(skip_locked=True))
    return schedule
