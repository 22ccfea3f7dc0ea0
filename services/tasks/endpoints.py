"""`/tasks/…`."""

from fastapi import APIRouter, Response

from services.tasks.dependencies import Batcher, Reader, Tasks, Writer
from services.tasks.errors import (
    InputInvalid,
    InputTooLarge,
    KeyBusy,
    KindUnknown,
    LineFull,
    RunAtTooFar,
    StartsTooLate,
    TaskFinished,
    TaskNotFound,
    TooManyFollowers,
)
from services.tasks.models import Task
from services.tasks.queries import Asked
from services.tasks.schemas import BatchRead, KindList, KindRead, TaskBatch, TaskRead, TaskSubmit, TaskSummary
from shared.door import GuardedRoute, IdempotentRoute, Keyed, stores_nothing, takes
from shared.errors import responses
from shared.limits import ShareTaken
from shared.resources import Cursor, Limit, Page, describe, described
from shared.schemas import Id

router = APIRouter(prefix="/api/v1/tasks", tags=["tasks"], route_class=GuardedRoute)
creating = APIRouter(prefix="/api/v1/tasks", tags=["tasks"], route_class=IdempotentRoute)


@creating.post(
    "/submit",
    operation_id="tasks_submit",
    summary="Submit a task",
    status_code=202,
    response_model=TaskRead,
    responses={
        **responses(
            KindUnknown,
            InputInvalid,
            InputTooLarge,
            RunAtTooFar,
            StartsTooLate,
            TaskNotFound,
            KeyBusy,
            LineFull,
            TooManyFollowers,
            ShareTaken,
        ),
        202: described(location="where to follow the task")
        | {
            "links": {
                "status": {"operationId": "tasks_status", "parameters": {"task_id": "$response.body#/id"}},
                "cancel": {"operationId": "tasks_cancel", "parameters": {"id": "$response.body#/id"}},
            },
        },
    },
)
@takes(kib=2048, values=20_000, texts=20_000, depth=32)
async def submit(body: TaskSubmit, caller: Writer, tasks: Tasks, once: Keyed) -> Response:
    """Hand work over. Once this answers, the work is kept: it will be done or end in a state that says why not.

    A worker may begin a task more than once, after a failure or when a worker was lost.
    """
    task = await tasks.submit(caller, body, once)
    answer = answer_with(task, 202)
    describe(answer, location=f"/api/v1/tasks/status/{task.id}")
    return answer


@creating.post(
    "/submit/batch",
    operation_id="tasks_submit_batch",
    summary="Submit many tasks",
    response_model=BatchRead,
    response_model_exclude_unset=True,
)
@takes(kib=8192, values=100_000, texts=100_000, depth=32)
async def submit_batch(body: TaskBatch, caller: Batcher, tasks: Tasks, once: Keyed) -> BatchRead:
    """Up to 500 tasks, each with an outcome of its own: one that is wrong takes no other along.

    Those that were taken are kept once this answers. Repeated under its key, the tasks that were made are found, and
    those that could not be kept before are submitted.
    """
    return BatchRead(results=await tasks.submit_many(caller, body.tasks, once))


@router.get(
    "/status/{task_id}",
    operation_id="tasks_status",
    summary="Follow a task",
    response_model=TaskRead,
    responses=responses(TaskNotFound),
)
async def status(task_id: Id, caller: Reader, tasks: Tasks) -> Response:
    """The task as it is now. `succeeded`, `failed`, `cancelled` and `expired` are final.

    One sees what one has submitted. With `tasks:tenant` one sees, lists and cancels what others of the tenant have.
    """
    task = await tasks.get(caller, task_id)
    answer = answer_with(task)
    describe(answer, version=task.version)
    return answer


@router.get("/list", operation_id="tasks_list", summary="List tasks", response_model=Page[TaskSummary])
async def list_page(
    caller: Reader,
    tasks: Tasks,
    wanted: Asked,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[TaskSummary]:
    """The caller's tasks, newest first, without input and result; with `tasks:tenant` those of the whole tenant."""
    found = await tasks.list_page(caller, wanted, limit=limit, cursor=cursor)
    return found.page(TaskSummary.of)


@router.get("/kinds", operation_id="tasks_kinds", summary="What can be submitted", response_model=KindList)
async def list_kinds(_caller: Reader, tasks: Tasks) -> KindList:
    """The kinds of task there are, with the JSON Schema of their input."""
    return KindList(items=[KindRead.of(kind) for kind in tasks.list_kinds()])


@router.post(
    "/{id}/cancel",
    operation_id="tasks_cancel",
    summary="Cancel a task",
    response_model=TaskRead,
    responses=responses(TaskNotFound, TaskFinished),
)
@stores_nothing
async def cancel(id: Id, caller: Writer, tasks: Tasks) -> Response:
    """Cancel a task. A queued one is cancelled at once; a running one is asked to stop and does so within seconds."""
    task = await tasks.cancel(caller, id)
    answer = answer_with(task)
    describe(answer, version=task.version)
    return answer


def answer_with(task: Task, status_code: int = 200) -> Response:
    return Response(TaskRead.json_of(task), status_code, media_type="application/json")
