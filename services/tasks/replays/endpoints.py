"""`/tasks/{id}/replay`, `/tasks/replay`, `/tasks/{id}/discard` and `/tasks/dead-letters`."""

from fastapi import APIRouter, Response

from services.tasks.dependencies import Reader, Replays, Tasks, Writer
from services.tasks.domain import REPLAY_KIND
from services.tasks.errors import KindUnknown, TaskNotFailed, TaskNotFound, TaskSettled
from services.tasks.replays.schemas import DeadLetterList, ReplayMany
from services.tasks.schemas import TaskRead, TaskSubmit
from shared.door import GuardedRoute, IdempotentRoute, Keyed, stores_nothing
from shared.errors import responses
from shared.resources import describe
from shared.schemas import Id

router = APIRouter(prefix="/api/v1/tasks", tags=["replays"], route_class=GuardedRoute)
creating = APIRouter(prefix="/api/v1/tasks", tags=["replays"], route_class=IdempotentRoute)


@creating.post(
    "/replay",
    operation_id="tasks_replay_many",
    summary="Replay many failed tasks",
    status_code=202,
    response_model=TaskRead,
)
async def replay_many(body: ReplayMany, caller: Writer, tasks: Tasks, once: Keyed) -> Response:
    """Replay the failed tasks that fit and that nobody has replayed or discarded, oldest first, at a bounded rate.

    It is done by a task of the kind `tasks.replay`, which is followed, cancelled and goes on after a crash as any
    other; its progress counts the tasks.
    """
    task = await tasks.submit(caller, TaskSubmit(kind=REPLAY_KIND, input=body.input()), once)
    answer = Response(TaskRead.json_of(task), 202, media_type="application/json")
    describe(answer, location=f"/api/v1/tasks/status/{task.id}")
    return answer


@creating.post(
    "/{id}/replay",
    operation_id="tasks_replay",
    summary="Replay a failed task",
    status_code=202,
    response_model=TaskRead,
    responses=responses(TaskNotFound, TaskNotFailed, TaskSettled, KindUnknown),
)
async def replay(id: Id, caller: Writer, replays: Replays, once: Keyed) -> Response:
    """Submit a failed task once more, as a new task of the caller's that may do what the caller may now.

    The failed one stays as it is and names the new one (`replayed_as`).
    """
    task = await replays.replay(caller, id, once)
    answer = Response(TaskRead.json_of(task), 202, media_type="application/json")
    describe(answer, location=f"/api/v1/tasks/status/{task.id}")
    return answer


@router.post(
    "/{id}/discard",
    operation_id="tasks_discard",
    summary="Discard a failed task",
    response_model=TaskRead,
    responses=responses(TaskNotFound, TaskNotFailed, TaskSettled),
)
@stores_nothing
async def discard(id: Id, caller: Writer, replays: Replays) -> Response:
    """Say that nothing is to follow from a failed task. It stays as it is, and is no dead letter any more."""
    task = await replays.discard(caller, id)
    answer = Response(TaskRead.json_of(task), media_type="application/json")
    describe(answer, version=task.version)
    return answer


@router.get(
    "/dead-letters",
    operation_id="tasks_count_dead_letters",
    summary="What failed, by kind and error",
    response_model=DeadLetterList,
)
async def count_dead_letters(caller: Reader, replays: Replays) -> DeadLetterList:
    """The failed tasks that nobody has replayed or discarded, counted by kind and error code.

    `GET /tasks/list?unsettled=true&kind=…&error_code=…` lists those of a line.
    """
    return DeadLetterList.of(await replays.count(caller))
