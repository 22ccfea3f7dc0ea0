"""The annotated types that tasks' routes ask for."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.repository import TaskRepository
from services.tasks.service import TaskService
from services.tasks.settings import Settings


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.state.database.transaction() as session:
        yield session


# "function" scope: the commit happens before the answer leaves.
Session = Annotated[AsyncSession, Depends(_session, scope="function")]


async def _tasks(request: Request, session: Session) -> TaskService:
    settings: Settings = request.app.state.settings
    return TaskService(
        TaskRepository(session),
        request.state.submissions,
        request.app.state.kinds,
        request.state.platform.cursors,
        max_input_bytes=settings.max_input_bytes,
    )


Tasks = Annotated[TaskService, Depends(_tasks)]
