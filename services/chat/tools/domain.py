"""A tool as chat knows it, and what comes of a call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.chat.domain import Citation, Passage

RESULT_CHARS = 32_768


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that an agent names; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    needs_approval: bool = False
    timeout_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class FilePart:
    """A part of a file of a vector store, as a search found it."""

    store: str
    file_id: str
    filename: str
    score: float
    text: str
    attributes: Mapping[str, Any]

    @property
    def passage(self) -> Passage:
        """As it is told to a model and cited."""
        return Passage(self.store, self.file_id, self.score, self.text)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave, as text for the model.

    `passages` stand in its place, cut around the `query` that found them, and in the answer as citations; so do those
    of `sources` that it names by number.
    """

    content: str
    is_error: bool = False
    is_truncated: bool = False
    passages: Sequence[Passage] = ()
    sources: Sequence[Citation] = ()
    query: str = ""
    parts: Sequence[FilePart] = ()
    """What the passages are parts of, where that is files."""

    @classmethod
    def failed(cls, reason: str) -> "ToolResult":
        return cls(reason, is_error=True)

    @classmethod
    def bounded(cls, content: str) -> "ToolResult":
        """The beginning of `content`, which may be any length."""
        return cls(content[:RESULT_CHARS], is_truncated=len(content) > RESULT_CHARS)
