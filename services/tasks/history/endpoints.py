"""`/tasks/{id}/attempts` and `/tasks/{id}/log`."""

from fastapi import APIRouter

from services.tasks.dependencies import History, Reader
from services.tasks.errors import TaskNotFound
from services.tasks.history.schemas import AttemptRead, LogLineRead, LogPage
from shared.door import GuardedRoute
from shared.errors import responses
from shared.resources import Cursor, Limit, Page
from shared.schemas import Id

router = APIRouter(prefix="/api/v1/tasks/{id}", tags=["history"], route_class=GuardedRoute)


@router.get(
    "/attempts",
    operation_id="tasks_list_attempts",
    summary="The attempts of a task",
    response_model=Page[AttemptRead],
    responses=responses(TaskNotFound),
)
async def list_attempts(
    id: Id, caller: Reader, history: History, limit: Limit = 20, cursor: Cursor = None
) -> Page[AttemptRead]:
    """Each time that a worker took the task, oldest first, and how that ended."""
    return (await history.list_attempts(caller, id, limit=limit, cursor=cursor)).page(AttemptRead.of)


@router.get(
    "/log",
    operation_id="tasks_read_log",
    summary="The log of a task",
    response_model=LogPage,
    responses=responses(TaskNotFound),
)
async def read_log(id: Id, caller: Reader, history: History, limit: Limit = 20, cursor: Cursor = None) -> LogPage:
    """What the task said while it worked, oldest first, over all its attempts. It keeps the first 1,000 lines."""
    found, dropped = await history.read_log(caller, id, limit=limit, cursor=cursor)
    lines = [LogLineRead.of(line) for line in found.rows]
    return LogPage(items=lines, next_cursor=found.next_cursor, dropped=dropped)
