"""What a model is asked, and what comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from services.chat.images.domain import Image


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model is told of it; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    is_strict: bool = False
    """Whether its provider is to hold the model to them."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model asks for; `arguments` is the text it wrote, which need not be JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a prompt: `tool_calls` of an assistant, `tool_call_id` of the `tool` that answers one of them."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: Sequence[ToolCall] = ()
    tool_call_id: str | None = None
    name: str | None = None
    """Who says it, where the caller tells several apart."""
    images: Sequence[Image] = ()
    """That a user shows in it."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A source, or a part of it, under the number by which it is cited."""

    number: int
    text: str


CUT: Final = frozenset({"length", "content_filter"})
"""How a generation ends of which there may be more than was said."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One generation: the answer has the form of `response_schema` (JSON Schema) where the provider can demand it.

    `sources` are what the prompt holds and an answer may be quoted from, where it need be nothing else. With `quotes`
    the answer is those, where the provider can hold the model to it.

    `options` are members of the protocol that the provider is sent as they are, and refused by name where it does not
    take one; `answer_tokens` is what the caller wants at most. With `may_be_cut` an answer of nothing is one where it
    was cut at its limit or withheld.
    """

    model: str
    messages: Sequence[PromptMessage]
    tools: Sequence[ToolSpec] = ()
    response_schema: Mapping[str, Any] | None = None
    sources: Sequence[Quote] = ()
    quotes: Sequence[Quote] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    answer_tokens: int | None = None
    answer_name: str = "answer"
    may_be_cut: bool = False

    @property
    def images(self) -> Sequence[Image]:
        """All that are shown in it."""
        return [image for message in self.messages for image in message.images]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The next piece of what a model thinks before it answers; no part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Completion:
    """How a generation ended: `stop`, `length` when it was cut at its limit, or another word of the provider.

    `tool_calls` are those it asks for; `refusal` is the model's own word that it will not answer. `usage` is None when
    the provider does not count, `model` the name of the one that answered where there are several.
    """

    finish_reason: str
    usage: Usage | None
    tool_calls: Sequence[ToolCall] = ()
    refusal: str | None = None
    model: str | None = None


@dataclass(slots=True)
class Heard:
    """What a generation has cost, whatever becomes of it: filled in while it goes on, for when it ends or breaks off.

    `has_begun` once the provider has taken the request; `usage` as far as it was told; `beside` is what the model wrote
    that is no piece: calls of tools, and its refusal.
    """

    has_begun: bool = False
    usage: Usage | None = None
    beside: str = ""


Piece = str | Reasoning
"""What a generation yields before its Completion: text of the answer, or thought."""
