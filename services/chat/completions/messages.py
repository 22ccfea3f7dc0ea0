"""The history that a caller gives: messages in OpenAI's shapes.

One model for all roles, so that a refusal names the place as a caller wrote it; what a role does not have is refused.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from services.chat.completions.texts import Content
from services.chat.dialogue.calls import unanswered
from services.chat.dialogue.options import CallId, ToolName
from shared.openai import OpenAIRequest, Unsupported
from shared.schemas import Text

_CALLS: Final = 128
_ARGUMENTS_CHARS: Final = 2**18
_ANSWERED: Final = (
    *("refusal", "tool_calls", "annotations"),
    *("citations", "reasoning_content", "provider_specific_fields"),
)
_NAME: Final = r"^[^\s<|\\/>]{1,64}$"


class CalledFunction(OpenAIRequest):
    """What was called, and with what."""

    name: ToolName
    arguments: Text = Field(max_length=_ARGUMENTS_CHARS, description="JSON, as the model wrote it")


class GivenCall(OpenAIRequest):
    """A call that an answer had."""

    id: CallId
    type: Literal["function"]
    function: CalledFunction
    index: Unsupported = None


class GivenCitation(OpenAIRequest):
    """A source, as an answer had it."""

    number: int = Field(strict=True, ge=1, le=1_000_000)
    collection: Text = Field(max_length=256)
    record_id: Text = Field(max_length=1_024)
    score: float = Field(strict=True, ge=-1e12, le=1e12)
    text: Text = Field(max_length=2**16)
    referenced: StrictBool


class GivenMessage(OpenAIRequest):
    """One message. `annotations`, `citations`, `reasoning_content` and `provider_specific_fields` are taken as an
    answer had them, so that it can be given back whole, and not told to the model again."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = Field(
        default=None, description="a text, or parts: texts, and of a user images; null beside `tool_calls`"
    )
    name: Annotated[str, Field(pattern=_NAME, description="who says it")] | None = None
    tool_calls: Annotated[list[GivenCall], Field(min_length=1, max_length=_CALLS)] | None = None
    tool_call_id: CallId | None = Field(default=None, description="of the call that a `tool` message answers")
    refusal: Annotated[Text, Field(max_length=2**16)] | None = None
    reasoning_content: Annotated[Text, Field(max_length=2**20)] | None = None
    annotations: Annotated[list[None], Field(max_length=0, description="empty, as an answer has them")] | None = None
    citations: Annotated[list[GivenCitation], Field(max_length=1_000)] | None = None
    provider_specific_fields: (
        Annotated[
            dict[Annotated[str, Field(max_length=128)], Any],
            Field(max_length=64, description="what LiteLLM writes beside an answer"),
        ]
        | None
    ) = None
    audio: Unsupported = None
    function_call: Unsupported = None

    @model_validator(mode="after")
    def _is_of_its_role(self) -> Self:
        if self.role != "assistant" and (strange := [name for name in _ANSWERED if getattr(self, name) is not None]):
            raise _refusal(f"of the role {self.role} has no {strange[0]}")
        if (self.role == "tool") != (self.tool_call_id is not None):
            raise _refusal("has a tool_call_id if it is of the role tool, and only then")
        if self.content and self.content.images and self.role != "user":
            raise _refusal(f"of the role {self.role} shows no image")
        if self.content is None and not (self.tool_calls or self.refusal):
            raise _refusal("has no content")
        return self


def _refusal(what: str) -> PydanticCustomError:
    return PydanticCustomError("message_not_valid", "{what}", {"what": what})


def require_answered(messages: Sequence[GivenMessage]) -> None:
    """Raises where a result answers no call that was made just before, or a call has none."""
    if wrong := unanswered(messages):
        place, what = wrong
        raise PydanticCustomError("calls_not_answered", "messages[{place}] {what}", {"place": place, "what": what})
