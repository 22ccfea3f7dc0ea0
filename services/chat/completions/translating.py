"""What a caller asks, in chat's own terms."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.chat.completions.messages import GivenMessage
from services.chat.completions.schemas import CompletionCreate, FormGiven
from services.chat.generation import PromptMessage, ToolCall, ToolSpec
from services.chat.given import Given
from services.chat.given_prompt import tokens_of
from services.chat.images.errors import ModelWithoutEyes
from services.chat.images.reading import Said, images_of, pointer_of, require_together
from services.chat.prompt import PromptBudget

QUESTION_CHARS: Final = 32_768  # of a message, which is told with the run's first event
_ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}
_OPTIONS: Final = (
    "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "stop", "user", "metadata",
)  # fmt: skip


def given_of(body: CompletionCreate, budget: PromptBudget) -> Given:
    """Raises PromptTooLong, ModelWithoutEyes, and what `images_of` does."""
    messages = [_message(one, f"/messages/{place}", budget) for place, one in enumerate(body.messages)]
    require_together([image for one in messages for image in one.images], "/messages")
    form = body.response_format.json_schema if body.response_format else None
    return Given(
        messages=messages,
        tokens=tokens_of(messages, budget),
        tools=[_tool(tool.function) for tool in body.tools or ()],
        options={name: value for name in _OPTIONS if (value := getattr(body, name)) is not None},
        tool_choice=body.tool_choice,
        calls_one=body.parallel_tool_calls is False,
        answer_tokens=body.max_completion_tokens or body.max_tokens,
        answer_name=form.name if form else "answer",
    )


def question_of(messages: Sequence[GivenMessage]) -> str:
    """The last message of the user, by which the agent's collections are searched; empty where there is none."""
    last = next((one.content for one in reversed(messages) if one.role == "user"), None)
    return last.text[:QUESTION_CHARS] if last else ""


def form_of(body: CompletionCreate) -> Mapping[str, Any] | None:
    """The JSON Schema that the answer is to fit."""
    match body.response_format:
        case None:
            return None
        case wanted if wanted.json_schema:
            return _described(wanted.json_schema)
        case wanted:
            return _ANY_OBJECT if wanted.type == "json_object" else None


def _described(form: FormGiven) -> Mapping[str, Any]:
    return {"description": form.description, **form.response_schema} if form.description else form.response_schema


def _message(given: GivenMessage, pointer: str, budget: PromptBudget) -> PromptMessage:
    calls = [ToolCall(call.id, call.function.name, call.function.arguments) for call in given.tool_calls or ()]
    role = "system" if given.role == "developer" else given.role
    said, place = given.content or Said(given.refusal or ""), f"{pointer}/content"
    if said.images and not budget.eyes:
        raise ModelWithoutEyes(pointer_of(said, place))
    images = images_of(said, place, "image_url/url")
    return PromptMessage(role, said.text, calls, given.tool_call_id, given.name, images)


def _tool(function: Any) -> ToolSpec:
    return ToolSpec(function.name, function.description, function.parameters, function.strict)
