"""An answer in OpenAI's shape, whole."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from services.chat.conversations.schemas import CitationRead
from services.chat.dialogue.outcome import FinishReason, citations_of, created_of, finish_reason_of, usage_of
from services.chat.domain import Reply
from services.chat.runs.execution import REFUSAL
from shared.schemas import Id, ResponseModel


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


def seconds_of(moment: datetime) -> int:
    return int(moment.timestamp())


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


def used_of(reply: Reply) -> dict[str, Any]:
    """What it took, and whether that is an estimate."""
    usage, is_estimated = usage_of(reply)
    members: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    return members | ({"is_estimated": True} if is_estimated else {})


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
