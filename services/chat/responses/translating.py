"""What a caller asks, in chat's own terms, and what was answered, as it is gone on from."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from services.chat.completions.translating import QUESTION_CHARS
from services.chat.dialogue.calls import unanswered
from services.chat.domain import Message
from services.chat.generation import PromptMessage, ToolCall, ToolSpec
from services.chat.given import Door, Given
from services.chat.given_prompt import tokens_of
from services.chat.items.translating import message_of, prompt_messages
from services.chat.prompt import PromptBudget
from services.chat.responses.errors import CallsUnanswered
from services.chat.responses.ids import response_name
from services.chat.responses.kept import Kept, kept_bytes
from services.chat.responses.schemas import ResponseCreate
from services.chat.times import now

_ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}
_OPTIONS: Final = ("temperature", "top_p", "user")


def input_of(body: ResponseCreate) -> list[Message]:
    """The messages that its items are, each with an id of its own."""
    return [message for item in body.input if (message := message_of(item))]


def given_of(body: ResponseCreate, said: Sequence[Message], budget: PromptBudget) -> Given:
    """All of the messages, answered as `body` says. Raises PromptTooLong, CallsUnanswered."""
    messages = prompt_messages(said)
    if wrong := unanswered(messages):
        raise CallsUnanswered(f"One of the messages {wrong[1]}.")
    if body.instructions:
        messages = [PromptMessage("system", body.instructions), *messages]
    options: dict[str, Any] = {name: value for name in _OPTIONS if (value := getattr(body, name)) is not None}
    if body.reasoning and body.reasoning.effort:
        options["reasoning_effort"] = body.reasoning.effort
    return Given(
        messages=messages,
        tokens=tokens_of(messages, budget),
        tools=[ToolSpec(one.name, one.description, one.parameters, one.strict) for one in body.tools or ()],
        options=options,
        tool_choice=_choice(body.tool_choice),
        calls_one=body.parallel_tool_calls is False,
        answer_tokens=body.max_output_tokens,
        answer_name=body.text.format.name or "answer",
        door=Door.RESPONSES,
        kept=kept_bytes(Kept(asked_of(body), said)) if body.store else b"",
    )


def _choice(choice: Any) -> Any:
    """As providers know it."""
    return {"type": "function", "function": {"name": choice["name"]}} if isinstance(choice, Mapping) else choice


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
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "model": body.model,
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": response_name(previous) if previous else None,
        "reasoning": {"effort": body.reasoning.effort if body.reasoning else None, "summary": None},
        "store": body.store,
        "temperature": body.temperature,
        "text": {"format": body.text.format.model_dump(by_alias=True, exclude_none=True)},
        "tool_choice": body.tool_choice or "auto",
        "tools": [tool.model_dump(exclude_none=True) for tool in body.tools or ()],
        "top_p": body.top_p,
        "truncation": "disabled",
        "user": body.user,
    }


def answered(output: Iterable[Mapping[str, Any]], run_id: str) -> list[Message]:
    """The messages that the items of an answer are; what was thought is none."""
    messages = list[Message]()
    for item in output:
        if item["type"] == "reasoning":
            continue
        named = str(UUID(item["id"].partition("_")[2]))
        if item["type"] == "function_call":
            call = ToolCall(item["call_id"], item["name"], item["arguments"])
            messages.append(Message(named, run_id, "assistant", "", [], now(), tool_call=call))
        else:
            text = "\n".join(part.get("text", part.get("refusal", "")) for part in item["content"])
            messages.append(Message(named, run_id, "assistant", text, [], now()))
    return messages
