"""`/chat/message`."""

from typing import Any, Final

from fastapi import APIRouter

from services.chat import errors
from services.chat.dependencies import Runs, Speaker
from services.chat.runs.schemas import MessageCreate, ReplyRead
from services.chat.runs.streaming import EVENT_STREAM, event_stream
from shared.door import IdempotentRoute, Keyed, takes
from shared.errors import UpstreamFailed, UpstreamTimeout, responses

creating = APIRouter(prefix="/api/v1/chat", tags=["messages"], route_class=IdempotentRoute)

_EVENTS = (
    'id: 1\nevent: run.started\ndata: {"run_id":"…","conversation_id":"…","agent_id":"…","message":{…}}\n\n'
    'id: 2\nevent: retrieval.completed\ndata: {"passages":[…],"warnings":[]}\n\n'
    'id: 3\nevent: message.delta\ndata: {"content":"Three engines"}\n\n'
    'id: 4\nevent: message.completed\ndata: {"message":{…}}\n\n'
    'id: 5\nevent: run.completed\ndata: {"run_id":"…","conversation_id":"…","model":"…","usage":{…}}\n\n'
)
_ANSWERED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The answer; with `stream` the run's events, the last of them `run.completed` or `run.failed`",
        "content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": _EVENTS}},
        "links": {
            "conversation": {
                "operationId": "chat_get_conversation",
                "parameters": {"id": "$response.body#/conversation_id"},
            },
            "messages": {"operationId": "chat_list_messages", "parameters": {"id": "$response.body#/conversation_id"}},
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
