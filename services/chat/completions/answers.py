"""An answer in OpenAI's shape, whole."""

from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import Field

from services.chat.conversations.schemas import CitationRead
from services.chat.domain import Reply
from services.chat.runs.execution import REFUSAL
from shared.schemas import Id, ResponseModel

_REASONS: Final = frozenset({"stop", "length", "tool_calls", "content_filter"})
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class CallFunctionRead(ResponseModel):
    """What is to be called, and with what."""

    name: str
    arguments: str = Field(description="as the model wrote it, which need not be JSON of the schema")


class CallRead(ResponseModel):
    """A call of one of the caller's tools."""

    id: str
    type: Literal["function"] = "function"
    function: CallFunctionRead


class AnswerRead(ResponseModel):
    """What was said."""

    role: Literal["assistant"] = "assistant"
    content: str | None = Field(description="null where it only calls tools, or refuses")
    refusal: str | None = Field(description="the model's word that it will not answer")
    annotations: list[None] = Field(max_length=0, description="always empty: see `citations`")
    tool_calls: list[CallRead] = Field(default=[], description="left out without any")
    citations: list[CitationRead] = Field(
        default=[], description="what an agent's answer was given; left out without any"
    )
    reasoning_content: str = Field(default="", description="what the model thought before; left out where it did not")


class ChoiceRead(ResponseModel):
    """The one answer."""

    index: int = 0
    message: AnswerRead
    logprobs: None = None
    finish_reason: FinishReason


class UsedRead(ResponseModel):
    """Tokens of all that the answer took, an agent's own steps included."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    is_estimated: bool = Field(default=False, description="where the provider has not counted all; left out otherwise")


class CompletionRead(ResponseModel):
    """An answer."""

    id: str = Field(
        description="`chatcmpl-` and the id of the run", examples=["chatcmpl-01890a5d-ac96-774b-bcce-b302099a8057"]
    )
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str = Field(description="as it was asked for, or the model that answered in its place")
    choices: list[ChoiceRead] = Field(min_length=1, max_length=1)
    usage: UsedRead
    run_id: Id = Field(description="for `/chat/runs/{id}`")


def completion_id(run_id: str) -> str:
    return f"chatcmpl-{run_id}"


def created_of(run_id: str) -> int:
    """The second in which the run began, which its id tells: the same in every repetition."""
    return int(UUID(run_id).hex[:12], 16) // 1000


def seconds_of(moment: datetime) -> int:
    return int(moment.timestamp())


def finish_reason_of(reply: Reply) -> FinishReason:
    """One of OpenAI's words; what else providers say, and a refusal, is the end that it should have."""
    reason: FinishReason = reply.finish_reason if reply.finish_reason in _REASONS else "stop"  # type: ignore[assignment]
    return reason


def message_of(reply: Reply, reasoning: str) -> dict[str, Any]:
    """Its members; what may be left out is, where there is none."""
    text, is_refusal = reply.message.content, reply.finish_reason == REFUSAL
    members: dict[str, Any] = {
        "role": "assistant",
        "content": None if is_refusal or (reply.tool_calls and not text) else text,
        "refusal": text if is_refusal else None,
        "annotations": [],
    }
    if reply.tool_calls:
        members["tool_calls"] = calls_of(reply)
    if reply.message.citations:
        members["citations"] = citations_of(reply)
    if reasoning:
        members["reasoning_content"] = reasoning
    return members


def calls_of(reply: Reply) -> list[dict[str, Any]]:
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in reply.tool_calls
    ]


def citations_of(reply: Reply) -> list[dict[str, Any]]:
    return [CitationRead.model_validate(one).model_dump(mode="json") for one in reply.message.citations]


def used_of(reply: Reply) -> dict[str, Any]:
    """What it took, as far as the provider counted; else about that, and it says so."""
    usage = reply.estimate or reply.usage
    members: dict[str, Any] = {
        name: getattr(usage, name, 0) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    return members | ({"is_estimated": True} if reply.estimate or not reply.usage else {})


def answer_of(reply: Reply, reasoning: str, *, model: str) -> dict[str, Any]:
    return {
        "id": completion_id(reply.run_id),
        "object": "chat.completion",
        "created": created_of(reply.run_id),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": message_of(reply, reasoning),
                "logprobs": None,
                "finish_reason": finish_reason_of(reply),
            }
        ],
        "usage": used_of(reply),
        "run_id": reply.run_id,
    }
