"""`/chat/message` and `/chat/runs`."""

from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from services.chat import errors
from services.chat.dependencies import (
    Approvals,
    Asker,
    Control,
    Follower,
    RunReader,
    Runs,
    RunWriter,
    Speaker,
    TicketOffice,
    Writer,
)
from services.chat.domain import Decision, Run, Waiting
from services.chat.images.errors import ModelWithoutEyes
from services.chat.runs.live import LiveRun
from services.chat.runs.logs import RunsKeptTooMuch, RunTooLong
from services.chat.runs.schemas import (
    ApprovalCreate,
    CallId,
    MessageCreate,
    Regenerate,
    ReplyRead,
    RunRead,
    RunWaitingRead,
    TicketRead,
    TicketShown,
)
from services.chat.runs.stored import StoredRun
from services.chat.runs.tickets import Ticket
from shared.door import GuardedRoute, IdempotencyKeyRefused, IdempotentRoute, Keyed, KeylessRoute, stores_nothing, takes
from shared.errors import Conflict, UpstreamFailed, UpstreamTimeout, responses
from shared.limits import ShareTaken
from shared.resources import describe, described
from shared.schemas import Id
from shared.web import EVENT_STREAM, Followed, LastEventId, event_stream

creating = APIRouter(prefix="/api/v1/chat", tags=["messages"], route_class=IdempotentRoute)
ticketing = APIRouter(prefix="/api/v1/chat/runs", tags=["runs"], route_class=KeylessRoute)
begun = APIRouter(prefix="/api/v1/chat/runs", tags=["runs"], route_class=GuardedRoute)

_EVENTS = (
    'id: 1\nevent: run.started\ndata: {"run_id":"…","conversation_id":"…","agent_id":"…","message":{…}}\n\n'
    'id: 2\nevent: retrieval.completed\ndata: {"passages":[…],"warnings":[],"is_truncated":false}\n\n'
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
    },
    202: described(location="where the run is")
    | {
        "model": RunWaitingRead,
        "description": "Calls of tools wait for an approval (`chat_decide_call`); the answer comes after it",
    },
}
_FAILURES: Final = (
    errors.AgentNotFound,
    errors.ConversationNotFound,
    errors.RunNotFound,
    errors.RunActive,
    errors.RunCancelled,
    errors.ConversationFull,
    errors.KeptTooMuch,
    RunsKeptTooMuch,
    RunTooLong,
    errors.ModelUnknown,
    errors.MessageTooLong,
    errors.TokensUsedUp,
    errors.ModelRefused,
    errors.AnswerEmpty,
    errors.AnswerOffSchema,
    errors.ToolStepsExceeded,
    errors.ApprovalExpired,
    errors.ModelTimeout,
    UpstreamFailed,
    UpstreamTimeout,
)
"""Of every turn, be it a message's first or not."""


@creating.post(
    "/message",
    operation_id="chat_send_message",
    summary="Send a message to an agent",
    response_model=ReplyRead,
    responses=_ANSWERED
    | responses(
        *_FAILURES,
        errors.ConversationOfOtherAgent,
        errors.TooManyConversations,
        errors.QueueFull,
        errors.TurnExpired,
    ),
)
@takes(kib=512)  # the longest content, each character of it written as `\u1234`
async def send_message(body: MessageCreate, caller: Speaker, runs: Runs, once: Keyed) -> Any:
    """Ask an agent. It looks into its knowledge collections, and the answer cites what it was given from there.

    Once its turn has come the message is kept even when it cannot be answered (`conversation_id` in the problem says
    where), and the answer is stored even when the client leaves. With `stream`, failing after the message is kept is a
    `run.failed`.
    Where a tool needs an approval first, 202 says for which calls, and a stream ends with `run.waiting`.
    With `on_busy: "enqueue"` a message to a busy conversation waits: a stream begins with `run.queued`, the run is
    `queued`, and once those before it have ended, however they did, it begins. It stands in the conversation from then
    on; where it fails or is cancelled before, it does not, and `chat_regenerate` would answer the message before it.
    The caller also needs `agents:read`, and `vectors:read` where the agent has knowledge.
    """
    run = await runs.start(caller, body, once)
    return await _answer(run, runs, is_stream=body.stream)


@creating.post(
    "/conversations/{id}/regenerate",
    operation_id="chat_regenerate",
    summary="Answer the last message anew",
    response_model=ReplyRead,
    responses=_ANSWERED | responses(*_FAILURES, errors.NothingToAnswer, ModelWithoutEyes, Conflict),
)
async def regenerate(id: Id, body: Regenerate, caller: Asker, runs: Runs, once: Keyed) -> Any:
    """Ask the last message of a conversation again: also one that was never answered. The answer it had is forgotten
    when the new run begins; who wants to keep it forks the conversation first. Otherwise as sending a message.
    """
    run = await runs.regenerate(caller, id, body, once)
    return await _answer(run, runs, is_stream=body.stream)


async def _answer(run: LiveRun | StoredRun, runs: Runs, *, is_stream: bool) -> Any:
    """Its events, or its outcome: a reply, or that it waits."""
    if is_stream:
        return event_stream(runs.follow(run))
    result = await run.result()
    if not isinstance(result, Waiting):
        return result
    told = RunWaitingRead.model_validate(result).model_dump(mode="json")
    answer = JSONResponse(told, status_code=202)
    describe(answer, location=f"{begun.prefix}/{result.run_id}")
    return answer


@begun.get(
    "/{id}",
    operation_id="chat_get_run",
    summary="One run",
    response_model=RunRead,
    responses=responses(errors.RunNotFound),
)
async def get(id: Id, caller: RunReader, control: Control, response: Response) -> Run:
    """How far a message of one's own has come: `completed`, `failed` and `cancelled` are final. Kept for a day."""
    run = await control.get(caller, id)
    describe(response, version=version_of(run))
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
async def follow(
    id: Id,
    caller: Follower,
    control: Control,
    last_event_id: LastEventId = None,
    ticket: TicketShown = None,  # noqa: ARG001 - the door has read it
) -> Response:
    """The events of a run of one's own as server-sent events, from the first or from where one was, and then as they
    happen, through any replica: none is lost and none comes twice. Leaving cancels nothing.

    A stream that ends without a final event goes on elsewhere: come again with `Last-Event-ID`. Events are kept for a
    day; then the run is not found. A ticket serves where no header says who asks.
    """
    attached = await control.attach(caller, id, int(last_event_id or 0))
    return Followed(*attached) if attached else Response(status_code=204)


@ticketing.post(
    "/{id}/ticket",
    operation_id="chat_create_ticket",
    summary="A ticket to the events of a run",
    status_code=201,
    response_model=TicketRead,
    responses=responses(errors.RunNotFound, IdempotencyKeyRefused),
)
async def create_ticket(id: Id, caller: RunReader, tickets: TicketOffice) -> Ticket:
    """What a browser's `EventSource`, which can send no header, shows as `?ticket=` to follow this run, and nothing
    else. It lasts a minute, for as many connections as that takes, and ends with the token it was asked for with.
    """
    return await tickets.make(caller, id)


@begun.post(
    "/{id}/cancel",
    operation_id="chat_cancel_run",
    summary="Cancel a run",
    response_model=RunRead,
    responses=responses(errors.RunNotFound, errors.RunEnded),
)
@stores_nothing
async def cancel(id: Id, caller: RunWriter, control: Control, response: Response) -> Run:
    """Stop an answer under way, through any replica. Once this answers the conversation takes the next message. A run
    that waits for its turn leaves the queue, and its message is not kept in the conversation.

    Else the user's message is kept and what there was of an answer is not; its pieces stay among the run's events.
    Cancelling again changes nothing.
    """
    run = await control.cancel(caller, id)
    describe(response, version=version_of(run))
    return run


@begun.post(
    "/{id}/approvals/{call_id}",
    operation_id="chat_decide_call",
    summary="Approve or deny a call",
    response_model=RunRead,
    responses=responses(
        errors.RunNotFound,
        errors.CallNotFound,
        errors.CallDecided,
        errors.TokensUsedUp,
        errors.RunEnded,
        errors.ApprovalExpired,
        ShareTaken,
        errors.Overloaded,
        errors.ModelUnavailable,
        UpstreamFailed,
        UpstreamTimeout,
    ),
)
async def decide(
    id: Id, call_id: CallId, body: ApprovalCreate, caller: Writer, approvals: Approvals, response: Response
) -> Run:
    """Say whether a call that waits may be made. With the last one decided the run goes on, with the rights of whoever
    says it; the model is told of what was denied. Where it could not go on now the last one is refused, and may be said
    again later. Saying the same again changes nothing.
    """
    run = await approvals.decide(caller, id, call_id, Decision(body.approve, body.reason))
    describe(response, version=version_of(run))
    return run


def version_of(run: Run) -> str:
    """Another with every change that callers see."""
    waiting = run.waiting
    return f"{run.state}-{waiting.expires_at.timestamp()}-{len(waiting.calls)}" if waiting else run.state
