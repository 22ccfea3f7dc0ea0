"""Every statement of the API about tasks; each names the tenant, and whose they are."""

from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from services.tasks.domain import CANCELLABLE, CANCELLED, TaskStatus
from services.tasks.errors import TaskNotFound
from services.tasks.models import Task

_SUMMARY = [
    column for column in Task.__mapper__.column_attrs if column.key not in {"input", "result", "scopes", "traceparent"}
]
SUMMARY_ONLY = load_only(*(column.class_attribute for column in _SUMMARY), raiseload=True)
"""Without what may be large."""


class TaskRepository:
    """The tasks that one user of a tenant submitted; without a `user_id`, those of the whole tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str, user_id: str | None) -> None:
        self._session = session
        self._visible: list[ColumnElement[bool]] = [Task.tenant_id == tenant_id]
        if user_id is not None:
            self._visible.append(Task.user_id == user_id)

    async def get(self, task_id: str) -> Task:
        """Raises TaskNotFound."""
        statement = select(Task).where(*self._visible, Task.id == task_id)
        task = await self._session.scalar(statement)
        if task is None:
            raise TaskNotFound
        return task

    async def list_newest(
        self, *, status: TaskStatus | None, kind: str | None, after: str | None, limit: int
    ) -> list[Task]:
        """Up to `limit` tasks older than `after`, without input and result."""
        statement = select(Task).where(*self._visible).order_by(Task.id.desc()).limit(limit)
        if status is not None:
            statement = statement.where(Task.status == status)
        if kind is not None:
            statement = statement.where(Task.kind == kind)
        if after is not None:
            statement = statement.where(Task.id < after)
        return list((await self._session.scalars(statement.options(SUMMARY_ONLY))).all())

    async def cancel(self, task_id: str) -> Task | None:
        """The task, cancelled where it was queued and asked to stop where it runs; None when it is in neither state."""
        is_queued = Task.status == TaskStatus.QUEUED
        statement = (
            update(Task)
            .where(*self._visible, Task.id == task_id)
            .where(Task.status.in_(CANCELLABLE))
            .values(
                status=case((is_queued, TaskStatus.CANCELLED), else_=Task.status),
                finished_at=case((is_queued, func.now()), else_=Task.finished_at),
                error_code=case((is_queued, CANCELLED.code), else_=Task.error_code),
                error_detail=case((is_queued, CANCELLED.detail), else_=Task.error_detail),
                cancel_requested_at=func.coalesce(Task.cancel_requested_at, func.now()),
                version=Task.version + 1,
            )
            .returning(Task)
        )
        return await self._session.scalar(statement)
