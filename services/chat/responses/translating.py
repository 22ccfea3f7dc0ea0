"""What a caller asks, in chat's own terms, and what was answered, as it is gone on from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import orjson

from services.chat.completions.translating import QUESTION_CHARS
from services.chat.dialogue.calls import unanswered
from services.chat.dialogue.telling import Told
from services.chat.domain import Citation, Message, Turn
from services.chat.generation import PromptMessage, ToolCall, ToolSpec
from services.chat.given import Door, Given
from services.chat.given_prompt import tokens_of
from services.chat.images.errors import ModelWithoutEyes
from services.chat.images.reading import pointer_of, require_together
from services.chat.items.ids import conversation_name, item_id
from services.chat.items.translating import prompt_messages
from services.chat.prompt import PromptBudget
from services.chat.responses.errors import CallsUnanswered
from services.chat.responses.ids import response_name
from services.chat.responses.kept import Kept, kept_bytes
from services.chat.responses.schemas import ResponseCreate
from services.chat.responses.tools import files_of
from services.chat.responses.unfolding import Unfolding
from services.chat.runs.events import Event
from services.chat.storage import message_from, message_members
from services.chat.times import now
from services.chat.tools.files import WIRE_NAME

_ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}
_OPTIONS: Final = ("temperature", "top_p", "user", "prompt_cache_key", "safety_identifier")
_UNSAID: Final = 1.0  # what clients read where nothing was asked for, as they know no null there


@dataclass(frozen=True, slots=True)
class Before:
    """What was said before, and where that is a conversation its version."""

    messages: Sequence[Message] = ()
    version: int = 0


def require_eyes(body: ResponseCreate, before: Before, budget: PromptBudget) -> None:
    """Raises ModelWithoutEyes where an image would be shown to a model that has none."""
    if budget.eyes:
        return
    for place, item in enumerate(body.input):
        if item.content and item.content.images:
            raise ModelWithoutEyes(pointer_of(item.content, f"/input/{place}/content"))
    if any(message.images for message in before.messages):
        raise ModelWithoutEyes(_past_of(body))


def _past_of(body: ResponseCreate) -> str:
    """What names what was said before."""
    return "/conversation" if body.conversation else "/previous_response_id"


def given_of(body: ResponseCreate, before: Before, own: Sequence[Message], budget: PromptBudget) -> Given:
    """All that was said `before` and its `own` input, answered as `body` says.

    Raises PromptTooLong, ImageTooLarge for more images than a model is shown at once, CallsUnanswered.
    """
    said = [*before.messages, *own]
    messages = prompt_messages(said)
    if body.instructions:
        messages = [PromptMessage("system", body.instructions), *messages]
    tokens = tokens_of(messages, budget)  # first: of what is too long only the beginning was read
    shown_before = any(message.images for message in before.messages)
    images = [image for message in said for image in message.images]
    require_together(images, _past_of(body) if shown_before else "/input")
    if wrong := unanswered(messages):
        raise CallsUnanswered(f"One of the messages {wrong[1]}.")
    options: dict[str, Any] = {name: value for name in _OPTIONS if (value := getattr(body, name)) is not None}
    if body.reasoning and body.reasoning.effort:
        options["reasoning_effort"] = body.reasoning.effort
    return Given(
        messages=messages,
        tokens=tokens,
        tools=[ToolSpec(one.name or "", one.description, one.parameters, one.strict) for one in body.functions],
        files=files_of(body.tools or ()),
        options=options,
        tool_choice=_choice(body.tool_choice),
        calls_one=body.parallel_tool_calls is False,
        answer_tokens=body.max_output_tokens,
        answer_name=body.text.format.name or "answer",
        door=Door.RESPONSES,
        kept=kept_bytes(Kept(asked_of(body), said, body.shows_results)) if body.store else b"",
        joins=[message_members(one) for one in own] if body.conversation else None,
        version=before.version,
    )


def _choice(choice: Any) -> Any:
    """As providers know it."""
    if not isinstance(choice, Mapping):
        return choice
    return {"type": "function", "function": {"name": choice.get("name", WIRE_NAME)}}


def question_of(said: Iterable[Message]) -> str:
    """The last message of the user, by which the agent's collections are searched; empty where there is none."""
    last = ""
    for one in said:
        last = one.content if one.role == "user" else last
    return last[:QUESTION_CHARS]


def form_of(body: ResponseCreate) -> Mapping[str, Any] | None:
    """The JSON Schema that the answer is to fit."""
    wanted = body.text.format
    if wanted.response_schema is None:
        return _ANY_OBJECT if wanted.type == "json_object" else None
    return (
        {"description": wanted.description, **wanted.response_schema} if wanted.description else wanted.response_schema
    )


def asked_of(body: ResponseCreate) -> dict[str, Any]:
    """What a response shows of its request."""
    previous = body.previous_response_id
    return {
        "background": body.background,
        "conversation": {"id": conversation_name(body.conversation)} if body.conversation else None,
        "frequency_penalty": 0,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": None,
        "metadata": body.metadata or {},
        "model": body.model,
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "presence_penalty": 0,
        "previous_response_id": response_name(previous) if previous else None,
        "prompt_cache_key": body.prompt_cache_key,
        "reasoning": {"effort": body.reasoning.effort if body.reasoning else None, "summary": None},
        "safety_identifier": body.safety_identifier,
        "service_tier": "default",
        "store": body.store,
        "temperature": _UNSAID if body.temperature is None else body.temperature,
        "text": {"format": body.text.format.model_dump(by_alias=True, exclude_none=True)},
        "tool_choice": body.tool_choice or "auto",
        "tools": [tool.shown for tool in body.tools or ()],
        "top_logprobs": 0,
        "top_p": _UNSAID if body.top_p is None else body.top_p,
        "truncation": "disabled",
        "user": body.user,
    }


def answered(output: Iterable[Mapping[str, Any]], run_id: str) -> list[Message]:
    """The messages that the items of an answer are; what was thought or searched is none."""
    messages = list[Message]()
    for item in output:
        named = str(UUID(item["id"].partition("_")[2]))
        message = Message(named, run_id, "assistant", "", [], now())
        if item["type"] == "function_call":
            call = ToolCall(item["call_id"], item["name"], item["arguments"])
            messages.append(replace(message, tool_call=call))
        elif item["type"] == "message":
            text = "\n".join(part.get("text", part.get("refusal", "")) for part in item["content"])
            messages.append(replace(message, content=text))
    return messages


def joined(turn: Turn, events: Iterable[Event]) -> list[Message]:
    """What the conversation of a response gets of it: its input, and what it has said, with what that cites."""
    given = turn.given
    assert given is not None  # noqa: S101 - whoever asks has one
    unfolding = Unfolding.plain(turn.run_id, turn.model, is_held=turn.response_schema is not None)
    for event in events:
        unfolding.take(Told(event.type, event.data))
    output = unfolding.output
    cited = {item["id"]: [Citation(**one) for one in item.get("citations", ())] for item in output}
    own = [replace(message_from(orjson.dumps(one)), run_id=turn.run_id) for one in given.joins or ()]
    return [*own, *[replace(one, citations=cited[item_id(one)]) for one in answered(output, turn.run_id)]]
