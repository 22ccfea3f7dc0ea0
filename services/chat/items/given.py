"""Items as OpenAI's clients write them.

One model for all types, so that a refusal names the place as a caller wrote it; what a type does not have is refused.
An answer's items are taken back as they were given out: their `id` and `status` say nothing that is kept.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from services.chat.completions.messages import GivenCitation
from services.chat.dialogue.options import CallId, Members, ToolName, misfit
from services.chat.items.compaction import unpacked
from services.chat.items.contents import LONGEST, ItemContent, ItemText, quotable
from services.chat.items.found import GivenFound
from shared.openai import OpenAIRequest, Unsupported
from shared.schemas import Text

GivenType = Literal[
    "message", "function_call", "function_call_output", "reasoning", "file_search_call", "compaction", "item_reference"
]
_TYPES: Final = get_args(GivenType)
_MEMBERS: Final[Members] = {
    "message": (frozenset({"role", "content"}), frozenset({"citations", "phase"})),
    "function_call": (frozenset({"call_id", "name", "arguments"}), frozenset()),
    "function_call_output": (frozenset({"call_id", "output"}), frozenset()),
    "reasoning": (frozenset(), frozenset({"summary", "content", "encrypted_content"})),
    "file_search_call": (frozenset({"queries"}), frozenset({"results"})),
    "compaction": (frozenset({"encrypted_content"}), frozenset()),
    "item_reference": (frozenset({"id"}), frozenset()),
}
"""Beside what all have."""
_OF_ALL: Final = frozenset({"type", "id", "status"})


def only(types: Sequence[str]) -> Callable[[Any], Any]:
    """What refuses all other types of items by their name."""

    def known(value: Any) -> Any:
        if not isinstance(value, str) or value in types:
            return value
        about = {"type": quotable(value), "known": ", ".join(types)}
        raise PydanticCustomError("item_unsupported", "is {type}, which is not supported here: {known} are", about)

    return known


class GivenItem(OpenAIRequest):
    """A message, a call of a function, the result of one, what was thought or searched before them, all of that in
    short, or a reference to an item that is kept."""

    type: Annotated[GivenType, BeforeValidator(only(_TYPES))] = "message"
    id: Annotated[Text, Field(max_length=128)] | None = Field(
        default=None, description="as an answer had it, not kept; of an `item_reference` the item that is meant"
    )
    status: Literal["in_progress", "searching", "completed", "incomplete", "failed"] | None = Field(
        default=None, description="as an answer had it; not kept"
    )
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: ItemContent | None = Field(
        default=None, description="a text, or parts: texts, which are kept as one, and of a user's message images"
    )
    citations: Annotated[list[GivenCitation], Field(max_length=1_000)] | None = Field(
        default=None, description="of an assistant's message, as an answer had them"
    )
    call_id: CallId | None = None
    name: ToolName | None = None
    arguments: Annotated[Text, Field(max_length=LONGEST)] | None = None
    output: ItemText | None = Field(default=None, description="what the call has given")
    summary: ItemText | None = Field(default=None, description="of a reasoning, as an answer had it")
    encrypted_content: Annotated[Text, Field(max_length=LONGEST)] | None = None
    phase: Literal["commentary", "final_answer"] | None = Field(
        default=None, description="of an assistant's message, as an answer had it; no model is told"
    )
    queries: Annotated[list[Annotated[Text, Field(max_length=2_000)]], Field(max_length=16)] | None = Field(
        default=None, description="of a `file_search_call`, as an answer had them"
    )
    results: Annotated[list[GivenFound], Field(max_length=50)] | None = Field(
        default=None, description="of a `file_search_call`, as an answer had them; no model is told again"
    )
    caller: Unsupported = None
    namespace: Unsupported = None
    is_async: Unsupported = Field(default=None, alias="async")

    @model_validator(mode="after")
    def _is_of_its_type(self) -> Self:
        given = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if wrong := misfit(self.type, _MEMBERS, held=given, named=given - _OF_ALL):
            raise _refusal(wrong)
        if (self.citations or self.phase) and self.role != "assistant":
            raise _refusal(f"of the role {self.role} has no {'citations' if self.citations else 'phase'}")
        if self.content and self.content.images and (self.type, self.role) != ("message", "user"):
            raise _refusal(f"of the type {self.type}{f' and the role {self.role}' if self.role else ''} shows no image")
        if self.type == "compaction" and unpacked(self.encrypted_content or "") is None:
            raise _refusal("of the type compaction is none of this service")
        return self


def _refusal(what: str) -> PydanticCustomError:
    return PydanticCustomError("item_not_valid", "{what}", {"what": what})
