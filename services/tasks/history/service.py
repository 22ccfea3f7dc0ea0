"""What a caller reads of what happened to a task."""

from services.tasks.history.repository import HistoryRepository
from services.tasks.models import TaskAttempt, TaskEvent
from services.tasks.service import TaskService
from shared.identity import Caller
from shared.postgres import Database
from shared.resources import CursorCodec, Slice


class HistoryService:
    """Of the tasks that `tasks` shows the caller. Every method raises TaskNotFound, Unavailable."""

    def __init__(self, database: Database, tasks: TaskService, cursors: CursorCodec) -> None:
        self._database, self._tasks, self._cursors = database, tasks, cursors

    async def list_attempts(
        self, caller: Caller, task_id: str, *, limit: int, cursor: str | None
    ) -> Slice[TaskAttempt]:
        """Oldest first. Raises Invalid for a cursor of another list."""
        await self._tasks.get(caller, task_id)
        async with self._database.statements() as session:
            history = HistoryRepository(session, task_id)
            return await self._cursors.slice(
                lambda after, most: history.list_attempts(after=after, limit=most),
                key=lambda attempt: attempt.number,
                scope=["attempts", caller.tenant_id, task_id],
                limit=limit,
                cursor=cursor,
            )

    async def read_log(
        self, caller: Caller, task_id: str, *, limit: int, cursor: str | None
    ) -> tuple[Slice[TaskEvent], int]:
        """Lines, oldest first, and how many were dropped. Raises Invalid for a cursor of another list."""
        task = await self._tasks.get(caller, task_id)
        async with self._database.statements() as session:
            history = HistoryRepository(session, task_id)
            found = await self._cursors.slice(
                lambda after, most: history.list_log(after=after, limit=most),
                key=lambda line: line.number,
                scope=["log", caller.tenant_id, task_id],
                limit=limit,
                cursor=cursor,
            )
        return found, task.log_dropped
