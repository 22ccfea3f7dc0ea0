"""`/responses`, where OpenAI's clients look for them."""

from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request

from services.chat import errors
from services.chat.dependencies import (
    Completer,
    ImagesShown,
    ItemsAsked,
    Leaving,
    ResponseReader,
    Responses,
    ResponseWriter,
)
from services.chat.dialogue.errors import ApprovalNeeded, ModelNotFound, OptionRefused, PromptTooLong
from services.chat.dialogue.failures import OF_A_RUN
from services.chat.dialogue.leaving import stay, streamed_unless_left, unless_left
from services.chat.images.errors import OF_IMAGES, ModelWithoutEyes
from services.chat.items.reading import KeptItems
from services.chat.responses.answers import ResponseDeleted, ResponseRead
from services.chat.responses.compacting import CompactedRead, in_short
from services.chat.responses.errors import (
    CallsUnanswered,
    ConversationUnkeepable,
    ItemNotFound,
    PreviousResponseUnusable,
    ResponseNotFound,
    ResponseUnkeepable,
)
from services.chat.responses.ids import ResponseId, response_name
from services.chat.responses.schemas import Included, ResponseCompact, ResponseCreate
from services.chat.responses.streaming import typed, whole
from shared.door import Keyed, stores_nothing, takes
from shared.errors import Conflict, Invalid
from shared.limits import ShareTaken
from shared.openai import OpenAIKeyedRoute, OpenAIRoute, openai_responses
from shared.web import EVENT_STREAM, Followed

responding = APIRouter(prefix="/api/v1/responses", tags=["responses"], route_class=OpenAIKeyedRoute)
asked_for = APIRouter(prefix="/api/v1/responses", tags=["responses"], route_class=OpenAIRoute)

_EVENTS: Final = (
    'event: response.created\ndata: {"type":"response.created","response":{…},"sequence_number":0}\n\n'
    'event: response.in_progress\ndata: {"type":"response.in_progress","response":{…},"sequence_number":1}\n\n'
    'event: response.output_item.added\ndata: {"type":"response.output_item.added","output_index":0,"item":{…},…}\n\n'
    'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Three engines",…}\n\n'
    'event: response.completed\ndata: {"type":"response.completed","response":{…},"sequence_number":8}\n\n'
)
_STREAMED: Final[dict[str, Any]] = {EVENT_STREAM: {"schema": {"type": "string"}, "example": _EVENTS}}
_OF_IT: Final = {"response_id": "$response.body#/id"}
_ANSWERED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The response; with `stream` its events, of which `response.completed`, `response.incomplete` "
        "or `response.failed` is the last",
        "content": _STREAMED,
        "links": {
            "response": {"operationId": "chat_get_response", "parameters": _OF_IT},
            "input": {"operationId": "chat_list_input_items", "parameters": _OF_IT},
            "cancel": {"operationId": "chat_cancel_response", "parameters": _OF_IT},
            "deletion": {"operationId": "chat_delete_response", "parameters": _OF_IT},
            "run": {"operationId": "chat_get_run", "parameters": {"id": "$response.body#/run_id"}},
        },
    }
}
_READ: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The response; with `stream` its events", "content": _STREAMED}
}
_FAILURES: Final = (
    ModelNotFound,
    PromptTooLong,
    CallsUnanswered,
    PreviousResponseUnusable,
    ConversationUnkeepable,
    ResponseUnkeepable,
    ResponseNotFound,
    ItemNotFound,
    ModelWithoutEyes,
    *OF_IMAGES,
    OptionRefused,
    ApprovalNeeded,
    errors.ConversationNotFound,
    errors.ConversationFull,
    errors.KeptTooMuch,
    errors.RunActive,
    Conflict,
    *OF_A_RUN,
)


@responding.post(
    "",
    operation_id="chat_create_response",
    summary="Answer, and keep the answer",
    response_model=ResponseRead,
    response_model_exclude_unset=True,
    responses=_ANSWERED | openai_responses(*_FAILURES),
)
@takes(kib=4096, values=40_000, texts=80_000, depth=24)
async def create(
    body: ResponseCreate,
    request: Request,
    caller: Completer,
    responses: Responses,
    leavers: Leaving,
    once: Keyed,
) -> Any:
    """As OpenAI's responses: `input` is said to `model`, which is an agent's id, an agent's name or a model of a
    provider, in this order; with `previous_response_id` after all that was said before, with `conversation` after all
    that stands there, which gets the input and the answer once there is one. An agent answers as itself, from its
    knowledge and with its own tools; calls of the caller's functions are handed out, and `file_search` looks into
    vector stores with the caller's rights. A user's message shows images, all of each in it, to a model that sees them.

    Each is a run, at `/chat/runs/{run_id}`, and kept for a day. Whoever leaves ends it, unless it is in the
    `background` or the request has an `Idempotency-Key`. What is not supported is refused by name. For agents the
    caller also needs `agents:read`, and `vectors:read` where they have knowledge, or for `file_search`.
    """
    made = await responses.start(caller, body, once)
    comes_again = once or body.background
    leave = stay if comes_again else partial(leavers.leave, caller, made.run)
    if body.stream:
        return await streamed_unless_left(request, typed(made.unfolding, made.events), leave)
    if body.background:
        return await responses.get(caller, made.run.id)
    return await unless_left(request, whole(made.unfolding, made.events), leave)


@responding.post(
    "/compact",
    operation_id="chat_compact_response",
    summary="Tell in short what was said",
    response_model=CompactedRead,
    responses=openai_responses(*_FAILURES),
)
@takes(kib=4096, values=40_000, texts=80_000, depth=24)
async def compact(
    body: ResponseCompact,
    request: Request,
    caller: Completer,
    responses: Responses,
    leavers: Leaving,
    once: Keyed,
) -> Any:
    """One item that stands for all that was said, to be given as `input` before what is said next. It is written by the
    model that `model` names, or that its agent has, without what the agent is told and knows. A run, of which nothing
    is kept as a response."""
    made = await responses.compact(caller, body, once)
    leave = stay if once else partial(leavers.leave, caller, made.run)
    return await unless_left(request, in_short(whole(made.unfolding, made.events)), leave)


@asked_for.get(
    "/{response_id}",
    operation_id="chat_get_response",
    summary="Read a response, or follow it",
    response_model=ResponseRead,
    response_model_exclude_unset=True,
    responses=_READ | openai_responses(ResponseNotFound, ShareTaken),
)
async def get(
    response_id: ResponseId,
    caller: ResponseReader,
    responses: Responses,
    stream: bool = False,
    starting_after: Annotated[
        int | None,
        Query(ge=0, le=1_000_000_000, description="with `stream`: the `sequence_number` of the last that was heard"),
    ] = None,
    include: Annotated[
        list[Included], Query(alias="include[]", max_length=8, description="also what `file_search` has found")
    ] = [],  # noqa: B006 - as FastAPI reads it
) -> Any:
    """As it is now, or as it comes: its events from the first or from where one was, through any replica, none lost and
    none twice. Leaving ends nothing."""
    if not stream:
        if starting_after is not None:
            raise Invalid.field("query/starting_after", "not_a_stream", "starting_after is of a stream.")
        return await responses.get(caller, response_id, shows_results=bool(include))
    followed = await responses.follow(caller, response_id, shows_results=bool(include))
    after = -1 if starting_after is None else starting_after
    return Followed(typed(followed.unfolding, followed.events, after=after), followed.place, followed.listener)


@asked_for.delete(
    "/{response_id}",
    operation_id="chat_delete_response",
    summary="Delete a response",
    response_model=ResponseDeleted,
    responses=openai_responses(ResponseNotFound),
)
async def delete(response_id: ResponseId, caller: ResponseWriter, responses: Responses) -> ResponseDeleted:
    """With its run, at once and for good; an answer under way is dropped. Those that went on from it have what was
    said in it all the same."""
    await responses.delete(caller, response_id)
    return ResponseDeleted(id=response_name(response_id))


@asked_for.post(
    "/{response_id}/cancel",
    operation_id="chat_cancel_response",
    summary="Cancel a response",
    response_model=ResponseRead,
    response_model_exclude_unset=True,
    responses=openai_responses(ResponseNotFound, errors.RunEnded),
)
@stores_nothing
async def cancel(response_id: ResponseId, caller: ResponseWriter, responses: Responses) -> Any:
    """Stop an answer under way, in the background or not, through any replica. Cancelling again changes nothing."""
    return await responses.cancel(caller, response_id)


@asked_for.get(
    "/{response_id}/input_items",
    operation_id="chat_list_input_items",
    summary="List what a response was told",
    response_model=KeptItems,
    responses=openai_responses(ResponseNotFound, errors.MessageNotFound),
)
async def list_input(
    response_id: ResponseId,
    caller: ResponseReader,
    responses: Responses,
    span: ItemsAsked,
    shows_images: ImagesShown,
) -> KeptItems:
    """Its own input, and all that was said before it, as items."""
    found, has_more = await responses.list_input(caller, response_id, span)
    return KeptItems.of(found, has_more=has_more, shows_images=shows_images)
