"""`/chat/completions` and `/models`."""

from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request

from services.chat import errors
from services.chat.completions.answers import CompletionRead
from services.chat.completions.offers import ModelRead, ModelsRead
from services.chat.completions.schemas import CompletionCreate
from services.chat.completions.streaming import Chunks, whole
from services.chat.dependencies import Completer, Completions, Leaving, ModelReader
from services.chat.dialogue.errors import ApprovalNeeded, ModelNotFound, OptionRefused, PromptTooLong
from services.chat.dialogue.failures import OF_A_RUN
from services.chat.dialogue.leaving import stay, streamed_unless_left, unless_left
from services.chat.dialogue.options import ModelInPath
from services.chat.images.errors import OF_IMAGES, ModelWithoutEyes
from shared.door import Keyed, takes
from shared.errors import UpstreamFailed, UpstreamTimeout
from shared.openai import OpenAIKeyedRoute, OpenAIRoute, openai_responses
from shared.web import EVENT_STREAM

completing = APIRouter(prefix="/api/v1/chat", tags=["completions"], route_class=OpenAIKeyedRoute)
offered = APIRouter(prefix="/api/v1/models", tags=["completions"], route_class=OpenAIRoute)

_CHUNKS: Final = (
    'data: {"id":"chatcmpl-…","object":"chat.completion.chunk","created":1764200000,"model":"support",'
    '"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n'
    'data: {…"choices":[{"index":0,"delta":{"content":"Three engines"},"logprobs":null,"finish_reason":null}]}\n\n'
    'data: {…"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n'
    "data: [DONE]\n\n"
)
_ANSWERED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The answer; with `stream` its chunks, then `[DONE]`",
        "content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": _CHUNKS}},
        "links": {"run": {"operationId": "chat_get_run", "parameters": {"id": "$response.body#/run_id"}}},
    }
}
_FAILURES: Final = (
    ModelNotFound,
    PromptTooLong,
    OptionRefused,
    ApprovalNeeded,
    ModelWithoutEyes,
    *OF_IMAGES,
    *OF_A_RUN,
)


@completing.post(
    "/completions",
    operation_id="chat_complete",
    summary="Answer a question with its history",
    response_model=CompletionRead,
    response_model_exclude_unset=True,
    responses=_ANSWERED | openai_responses(*_FAILURES),
)
@takes(kib=4096, values=40_000, texts=80_000, depth=24)
async def complete(
    body: CompletionCreate,
    request: Request,
    caller: Completer,
    completions: Completions,
    leavers: Leaving,
    once: Keyed,
) -> Any:
    """As OpenAI's chat completions: `messages` are the whole history; nothing is read from a conversation or becomes
    one. `model` is an agent's id, an agent's name, or a model of a provider, in this order. An agent answers as itself,
    from its knowledge and with its own tools; calls of the caller's `tools` are handed out.

    A user's message shows images, all of each in it, to a model that sees them (docs/models.md).

    The answer is a run, at `/chat/runs/{run_id}` for a day. Whoever leaves ends it, unless the request has an
    `Idempotency-Key`. What is not supported is refused by name. For agents the caller also needs `agents:read`, and
    `vectors:read` where they have knowledge.
    """
    completion = await completions.start(caller, body, once)
    leave = stay if once else partial(leavers.leave, caller, completion.run)  # one with a key comes again
    if body.stream:
        return await streamed_unless_left(request, Chunks(completion.asked).of(completion.events), leave)
    return await unless_left(request, whole(completion.asked, completion.events), leave)


@offered.get(
    "",
    operation_id="chat_list_models",
    summary="List agents and models",
    response_model=ModelsRead,
    responses=openai_responses(UpstreamFailed, UpstreamTimeout),
)
async def list_models(caller: ModelReader, completions: Completions) -> ModelsRead:
    """What `model` may be: the tenant's agents by name, the newest 500, where the caller may read them (`agents:read`),
    then the models that providers list. `has_more` says that there are more agents.
    """
    found, is_cut = await completions.list_models(caller)
    return ModelsRead(data=[ModelRead.of(one) for one in found], has_more=is_cut)


@offered.get(
    "/{model:path}",
    operation_id="chat_get_model",
    summary="One agent or model",
    response_model=ModelRead,
    responses=openai_responses(
        ModelNotFound, errors.ModelUnknown, errors.ModelUnavailable, UpstreamFailed, UpstreamTimeout
    ),
)
async def get_model(
    model: Annotated[ModelInPath, Path()],
    caller: ModelReader,
    completions: Completions,
) -> ModelRead:
    """Whom `model` means: as a completion finds it."""
    return ModelRead.of(await completions.get_model(caller, model))
