"""`/tasks/schedules`."""

from typing import Final

from fastapi import APIRouter, Response

from services.tasks.dependencies import Reader, Schedules, Writer
from services.tasks.endpoints import answer_with
from services.tasks.errors import (
    CronInvalid,
    CronNever,
    EndsTooSoon,
    InputInvalid,
    InputTooLarge,
    KindUnknown,
    ScheduleNotFound,
    TimeZoneUnknown,
    TooManySchedules,
)
from services.tasks.schedules.schemas import ScheduleCreate, ScheduleRead, ScheduleSummary, ScheduleUpdate
from services.tasks.schemas import TaskRead, TaskSummary
from shared.door import GuardedRoute, IdempotentRoute, Keyed, stores_nothing, takes
from shared.errors import PreconditionFailed, responses
from shared.resources import Cursor, IfMatch, Limit, Page, describe, described
from shared.schemas import Id

_PREFIX = "/api/v1/tasks/schedules"
router = APIRouter(prefix=_PREFIX, tags=["tasks"], route_class=GuardedRoute)
creating = APIRouter(prefix=_PREFIX, tags=["tasks"], route_class=IdempotentRoute)

_TAG: Final = "the version, for `If-Match`"
_TAGGED: Final = described(tag=_TAG)
_CREATED: Final = described(tag=_TAG, location="where the schedule is") | {
    "links": {
        operation: {"operationId": operation, "parameters": {"id": "$response.body#/id"}}
        for operation in ("tasks_get_schedule", "tasks_update_schedule", "tasks_delete_schedule")
    },
}
_WRONG = (InputInvalid, InputTooLarge, CronInvalid, CronNever, TimeZoneUnknown, EndsTooSoon)


@creating.post(
    "",
    operation_id="tasks_create_schedule",
    summary="Create a schedule",
    status_code=201,
    responses={**responses(KindUnknown, TooManySchedules, *_WRONG), 201: _CREATED},
)
@takes(kib=2048, values=20_000, texts=20_000, depth=32)
async def create(
    body: ScheduleCreate, caller: Writer, schedules: Schedules, once: Keyed, response: Response
) -> ScheduleRead:
    """Have a task made at each moment that the cron expression names, once for each, whatever fails meanwhile.

    Its tasks act with the credential this is asked with. When that ends the schedule pauses, and says so.
    """
    schedule = await schedules.create(caller, body, once)
    describe(response, version=schedule.version, location=f"{_PREFIX}/{schedule.id}")
    return ScheduleRead.of(schedule)


@router.get("", operation_id="tasks_list_schedules", summary="List schedules")
async def list_page(
    caller: Reader, schedules: Schedules, limit: Limit = 20, cursor: Cursor = None
) -> Page[ScheduleSummary]:
    """The caller's own, newest first."""
    return (await schedules.list_page(caller, limit, cursor)).page(ScheduleSummary.of)


@router.get(
    "/{id}",
    operation_id="tasks_get_schedule",
    summary="Read a schedule",
    responses={**responses(ScheduleNotFound), 200: _TAGGED},
)
async def get(id: Id, caller: Reader, schedules: Schedules, response: Response) -> ScheduleRead:
    """The schedule, with what its tasks are given and when it is due next."""
    schedule = await schedules.get(caller, id)
    describe(response, version=schedule.version)
    return ScheduleRead.of(schedule)


@router.patch(
    "/{id}",
    operation_id="tasks_update_schedule",
    summary="Change a schedule",
    responses={**responses(ScheduleNotFound, PreconditionFailed, KindUnknown, *_WRONG), 200: _TAGGED},
)
@takes(kib=2048, values=20_000, texts=20_000, depth=32)
async def update(
    id: Id, body: ScheduleUpdate, caller: Writer, schedules: Schedules, response: Response, if_match: IfMatch = None
) -> ScheduleRead:
    """Replace the given fields. From now on it acts with the credential this is asked with."""
    schedule = await schedules.update(caller, id, body, if_match)
    describe(response, version=schedule.version)
    return ScheduleRead.of(schedule)


@router.delete(
    "/{id}",
    operation_id="tasks_delete_schedule",
    summary="Delete a schedule",
    status_code=204,
    responses=responses(ScheduleNotFound, PreconditionFailed),
)
async def delete(id: Id, caller: Writer, schedules: Schedules, if_match: IfMatch = None) -> None:
    """Delete a schedule. The tasks that it has made stay, and go on."""
    await schedules.delete(caller, id, if_match)


@router.post(
    "/{id}/pause",
    operation_id="tasks_pause_schedule",
    summary="Pause a schedule",
    status_code=200,
    responses={**responses(ScheduleNotFound, PreconditionFailed), 200: _TAGGED},
)
@stores_nothing
async def pause(
    id: Id, caller: Writer, schedules: Schedules, response: Response, if_match: IfMatch = None
) -> ScheduleRead:
    """Have it make no tasks until it is resumed. Those that it has made go on."""
    schedule = await schedules.pause(caller, id, if_match)
    describe(response, version=schedule.version)
    return ScheduleRead.of(schedule)


@router.post(
    "/{id}/resume",
    operation_id="tasks_resume_schedule",
    summary="Resume a schedule",
    status_code=200,
    responses={
        **responses(ScheduleNotFound, PreconditionFailed, KindUnknown, InputInvalid, InputTooLarge, EndsTooSoon),
        200: _TAGGED,
    },
)
async def resume(
    id: Id, caller: Writer, schedules: Schedules, response: Response, if_match: IfMatch = None
) -> ScheduleRead:
    """Go on from now, with the credential this is asked with. What was missed meanwhile is not made up for."""
    schedule = await schedules.resume(caller, id, if_match)
    describe(response, version=schedule.version)
    return ScheduleRead.of(schedule)


@creating.post(
    "/{id}/run",
    operation_id="tasks_run_schedule",
    summary="Run a schedule now",
    status_code=202,
    response_model=TaskRead,
    responses=responses(ScheduleNotFound, KindUnknown, InputInvalid, InputTooLarge),
)
async def run(id: Id, caller: Writer, schedules: Schedules, once: Keyed) -> Response:
    """Make a task of it now, paused or not, with the caller's own credential. When it is due next stays the same."""
    task = await schedules.run(caller, id, once)
    answer = answer_with(task, 202)
    describe(answer, location=f"/api/v1/tasks/status/{task.id}")
    return answer


@router.get(
    "/{id}/runs",
    operation_id="tasks_list_schedule_runs",
    summary="What a schedule made",
    responses=responses(ScheduleNotFound),
)
async def list_runs(
    id: Id, caller: Reader, schedules: Schedules, limit: Limit = 20, cursor: Cursor = None
) -> Page[TaskSummary]:
    """Its tasks, newest first."""
    return (await schedules.list_runs(caller, id, limit, cursor)).page(TaskSummary.of)
