"""What chat is told of tools, and of their calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.agents.calls.redaction import without_secrets
from services.agents.tools.domain import MOST_CONTENT

MOST_BYTES: Final = 2**20
"""Of an answer are read, unpacked; what a model is given of it is a fraction."""
CALLS: Final = 64
"""Of tools are under way at once, in a process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallableTool:
    """A tool as a model is offered it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    needs_approval: bool
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Called:
    """What came of a call."""

    content: str
    is_error: bool = False
    is_truncated: bool = False
    most: int = MOST_CONTENT
    """Characters that a model is given."""

    def without(self, secrets: Mapping[str, str]) -> "Called":
        """The same, cut to what a model is given, with nothing of the secrets' values in it."""
        is_truncated = self.is_truncated or len(self.content) > self.most
        return Called(without_secrets(self.content, secrets, self.most), self.is_error, is_truncated, self.most)


class ToolFailed(Exception):
    """A call that came to nothing; `detail` is a sentence for the model, without a secret in it."""

    def __init__(self, detail: str, *, is_callers: bool = False) -> None:
        """`is_callers` where it says nothing of the server: another caller may find it well."""
        super().__init__(detail)
        self.detail, self.is_callers = detail, is_callers
