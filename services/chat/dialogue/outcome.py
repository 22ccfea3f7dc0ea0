"""What OpenAI's shapes say of an answer in their own words."""

from typing import Any, Final, Literal
from uuid import UUID

from services.chat.conversations.schemas import CitationRead
from services.chat.domain import Reply
from services.chat.generation import Usage

_REASONS: Final = frozenset({"stop", "length", "tool_calls", "content_filter"})
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


def created_of(run_id: str) -> int:
    """The second in which the run began, which its id tells: the same in every repetition."""
    return int(UUID(run_id).hex[:12], 16) // 1000


def finish_reason_of(reply: Reply) -> FinishReason:
    """One of OpenAI's words; what else providers say, a refusal, and calls that there are none of, is the end that it
    should have."""
    if reply.finish_reason == "tool_calls" and not reply.tool_calls:
        return "stop"
    reason: FinishReason = reply.finish_reason if reply.finish_reason in _REASONS else "stop"  # type: ignore[assignment]
    return reason


def citations_of(reply: Reply) -> list[dict[str, Any]]:
    return [CitationRead.model_validate(one).model_dump(mode="json") for one in reply.message.citations]


def usage_of(reply: Reply) -> tuple[Usage, bool]:
    """What it took, as far as the provider counted; else about that, and whether it is an estimate."""
    return reply.estimate or reply.usage or Usage(0, 0, 0), bool(reply.estimate or not reply.usage)
