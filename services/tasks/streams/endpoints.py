"""`/tasks/{id}/events` and `/tasks/events`."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Response

from services.tasks.dependencies import Reader, Streams
from services.tasks.errors import EventUnknown, StreamsFull, TaskNotFound
from shared.door import GuardedRoute
from shared.errors import responses
from shared.limits import ShareTaken
from shared.schemas import Id
from shared.web import EVENT_STREAM, Followed, LastEventId

router = APIRouter(prefix="/api/v1/tasks", tags=["events"], route_class=GuardedRoute)

LastPosition = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern=r"^[0-9]{1,18}-[0-9]{1,18}$",
        description="the `id` that was heard last: what came after it follows",
        examples=["7431-9120"],
    ),
]
_ALL_EXAMPLE: Final = (
    "id: 7423-0\n: still here\n\n"
    'id: 7431-9120\nevent: task.succeeded\ndata: {"task_id":"…","submitted_by":"…","at":"…","status":"succeeded",'
    '"attempt":1,"progress":{…},"error":null,"dead_letter":false}\n\n'
)
_EXAMPLE: Final = (
    'id: 1\nevent: task.queued\ndata: {"task_id":"…","submitted_by":"…","at":"…","status":"queued","attempt":0,…}\n\n'
    'id: 2\nevent: task.running\ndata: {…,"status":"running","attempt":1,…}\n\n'
    'id: 3\nevent: task.log\ndata: {…,"attempt":1,"level":"info","message":"2 documents read: 31 chunks"}\n\n'
    'id: 4\nevent: task.progress\ndata: {…,"progress":{"done":31,"total":31,"message":"storing"},…}\n\n'
    'id: 5\nevent: task.succeeded\ndata: {…,"status":"succeeded",…}\n\n'
)


def _streamed(description: str, example: str) -> dict[int | str, dict[str, Any]]:
    content = {EVENT_STREAM: {"schema": {"type": "string"}, "example": example}}
    return {200: {"description": description, "content": content}}


@router.get(
    "/events",
    operation_id="tasks_follow_all",
    summary="Follow all tasks",
    response_class=Followed,
    status_code=200,
    responses=_streamed("What happens to tasks, without end", _ALL_EXAMPLE)
    | responses(EventUnknown, ShareTaken, StreamsFull),
)
async def follow_all(caller: Reader, streams: Streams, last_event_id: LastPosition = None) -> Response:
    """What happens to one's tasks, with `tasks:tenant` to those of the whole tenant, as server-sent events: from now
    on, or behind `Last-Event-ID`, through any replica; none is lost and none comes twice.

    The stream goes on until the token ends; come again with `Last-Event-ID`. The types of events and their data are
    those of a single task's stream.
    """
    return Followed(*await streams.follow_all(caller, last_event_id))


@router.get(
    "/{id}/events",
    operation_id="tasks_follow",
    summary="Follow a task as it goes on",
    response_class=Followed,
    status_code=200,
    responses=_streamed("What happens to the task; the last event is its end", _EXAMPLE)
    | {204: {"description": "`Last-Event-ID` was the last: there is nothing more, and an `EventSource` comes no more"}}
    | responses(TaskNotFound, EventUnknown, ShareTaken, StreamsFull),
)
async def follow(id: Id, caller: Reader, streams: Streams, last_event_id: LastEventId = None) -> Response:
    """What happens to a task as server-sent events, from the first or behind `Last-Event-ID`, through any replica: none
    is lost and none comes twice. Leaving cancels nothing.

    `task.queued`, `task.running`, `task.retried` (it waits for another attempt), `task.progress`, `task.log`, and one
    of `task.succeeded`, `task.failed`, `task.cancelled`, `task.expired` as the last. A stream that ends before goes on
    elsewhere, or under a new token: come again with `Last-Event-ID`.
    """
    followed = await streams.follow_task(caller, id, int(last_event_id or 0))
    return Followed(*followed) if followed else Response(status_code=204)
