"""What was written about a task that the caller may see; the statements name its id only."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.domain import LOGGED
from services.tasks.models import TaskAttempt, TaskEvent


class HistoryRepository:
    """Of one task, which was looked up as the caller's before."""

    def __init__(self, session: AsyncSession, task_id: str) -> None:
        self._session, self._task_id = session, task_id

    async def list_attempts(self, *, after: int | None, limit: int) -> list[TaskAttempt]:
        """Up to `limit` that follow number `after`, oldest first."""
        table = TaskAttempt
        statement = select(table).where(table.task_id == self._task_id, table.number > (after or 0))
        return list((await self._session.scalars(statement.order_by(table.number).limit(limit))).all())

    async def list_log(self, *, after: int | None, limit: int) -> list[TaskEvent]:
        """Up to `limit` lines behind the event number `after`, oldest first."""
        table = TaskEvent
        statement = select(table).where(table.task_id == self._task_id, table.type == LOGGED)
        statement = statement.where(table.number > (after or 0)).order_by(table.number).limit(limit)
        return list((await self._session.scalars(statement)).all())
