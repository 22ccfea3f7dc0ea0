"""`/chat/message` and `/chat/runs`."""

from typing import Any, Final

from fastapi import APIRouter, Response

from services.chat import errors
from services.chat.dependencies import Control, Reader, Runs, Speaker, Writer
from services.chat.domain import Run
from services.chat.runs.schemas import MessageCreate, ReplyRead, RunRead
from shared.door import GuardedRoute, IdempotentRoute, Keyed, stores_nothing, takes
from shared.errors import UpstreamFailed, UpstreamTimeout, responses
from shared.limits import ShareTaken
from shared.resources import describe
from shared.schemas import Id
from shared.web import EVENT_STREAM, Followed, LastEventId, event_stream

creating = APIRouter(prefix="/api/v1/chat", tags=["messages"], route_class=IdempotentRoute)
begun = APIRouter(prefix="/api/v1/chat/runs", tags=["runs"], route_class=GuardedRoute)

_EVENTS = (
    'id: 1\nevent: run.started\ndata: {"run_id":"…","conversation_id":"…","agent_id":"…","message":{…}}\n\n'
    'id: 2\nevent: retrieval.completed\ndata: {"passages":[…],"warnings":[]}\n\n'
    'id: 3\nevent: message.delta\ndata: {"content":"Three engines"}\n\n'
    'id: 4\nevent: message.completed\ndata: {"message":{…}}\n\n'
    'id: 5\nevent: run.completed\ndata: {"run_id":"…","conversation_id":"…","model":"…","usage":{…}}\n\n'
)
_ANSWERED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The answer; with `stream` the run's events, of which `run.completed`, `run.failed` or "
        "`run.cancelled` is the last",
        "content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": _EVENTS}},
        "links": {
            "conversation": {
                "operationId": "chat_get_conversation",
                "parameters": {"id": "$response.body#/conversation_id"},
            },
            "messages": {"operationId": "chat_list_messages", "parameters": {"id": "$response.body#/conversation_id"}},
            "run": {"operationId": "chat_get_run", "parameters": {"id": "$response.body#/run_id"}},
            "events": {"operationId": "chat_follow_run", "parameters": {"id": "$response.body#/run_id"}},
        },
    }
}


@creating.post(
    "/message",
    operation_id="chat_send_message",
    summary="Send a message to an agent",
    response_model=ReplyRead,
    responses=_ANSWERED
    | responses(
        errors.AgentNotFound,
        errors.ConversationNotFound,
        errors.RunNotFound,
        errors.RunActive,
        errors.RunCancelled,
        errors.ConversationOfOtherAgent,
        errors.ConversationFull,
        errors.TooManyConversations,
        errors.ModelRefused,
        errors.ModelTimeout,
        UpstreamFailed,
        UpstreamTimeout,
    ),
)
@takes(kib=512)  # the longest content, each character of it written as `\u1234`
async def send_message(body: MessageCreate, caller: Speaker, runs: Runs, once: Keyed) -> Any:
    """Ask an agent. It looks into its knowledge collections, and the answer cites what it was given from there.

    The message is kept even when it cannot be answered (`conversation_id` in the problem says where), and the answer
    is stored even when the client leaves. With `stream`, failing after the message is kept is a `run.failed`.
    The caller also needs `agents:read`, and `vectors:read` where the agent has knowledge.
    """
    run = await runs.start(caller, body, once)
    if body.stream:
        return event_stream(runs.follow(run))
    return await run.result()


@begun.get(
    "/{id}",
    operation_id="chat_get_run",
    summary="One run",
    response_model=RunRead,
    responses=responses(errors.RunNotFound),
)
async def get(id: Id, caller: Reader, control: Control, response: Response) -> Run:
    """How far a message of one's own has come: `completed`, `failed` and `cancelled` are final. Kept for a day."""
    run = await control.get(caller, id)
    describe(response, version=run.state)
    return run


_FOLLOWED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The run's events; the last of them is `run.completed`, `run.failed` or `run.cancelled`",
        "content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": _EVENTS}},
    },
    204: {"description": "`Last-Event-ID` was the last: there is nothing more, and an `EventSource` comes no more"},
}


@begun.get(
    "/{id}/events",
    operation_id="chat_follow_run",
    summary="Follow a run",
    response_class=Followed,
    status_code=200,
    responses=_FOLLOWED | responses(errors.RunNotFound, errors.EventUnknown, ShareTaken),
)
async def follow(id: Id, caller: Reader, control: Control, last_event_id: LastEventId = None) -> Response:
    """The events of a run of one's own as server-sent events, from the first or from where one was, and then as they
    happen, through any replica: none is lost and none comes twice. Leaving cancels nothing.

    A stream that ends without a final event goes on elsewhere: come again with `Last-Event-ID`. Events are kept for a
    day; then the run is not found.
    """
    attached = await control.attach(caller, id, int(last_event_id or 0))
    return Followed(*attached) if attached else Response(status_code=204)


@begun.post(
    "/{id}/cancel",
    operation_id="chat_cancel_run",
    summary="Cancel a run",
    response_model=RunRead,
    responses=responses(errors.RunNotFound, errors.RunEnded),
)
@stores_nothing
async def cancel(id: Id, caller: Writer, control: Control, response: Response) -> Run:
    """Stop an answer under way, through any replica. Once this answers the conversation takes the next message.

    The user's message is kept and what there was of an answer is not; its pieces stay among the run's events.
    Cancelling again changes nothing.
    """
    run = await control.cancel(caller, id)
    describe(response, version=run.state)
    return run
