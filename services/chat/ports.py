"""The world outside, as chat needs it: who the agents are, what they know, and the model that speaks for them."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from services.chat.domain import Agent, Passage
from services.chat.generation import Ask, Completion, Piece
from services.chat.given import FileSearch
from services.chat.tools.domain import FilePart, Tool, ToolResult


class AgentDirectory(Protocol):
    """The agents a caller may talk to."""

    async def get(self, agent_id: str, *, token: str) -> Agent:
        """The agent, with the rights of `token`.

        Raises AgentNotFound for one that is missing or another tenant's, Unavailable and UpstreamTimeout naming
        `agents`, and Relayed for what the directory itself refused (a missing scope).
        """

    async def find_named(self, name: str, *, token: str) -> Agent | None:
        """The agent of exactly this name in the tenant of `token`, None where there is none. Raises as `get` does."""

    async def list_newest(self, most: int, *, token: str) -> tuple[list[Agent], bool]:
        """Up to `most` of the tenant's, and whether there are more. Raises as `get` does."""

    async def delegates_of(self, agent_id: str, *, token: str) -> dict[str, str]:
        """The ids, by their names, of the agents that it delegates to, a hundred at most. Raises as `get` does."""


class Knowledge(Protocol):
    """Searchable collections of text."""

    async def search(self, collection: str, query: str, *, limit: int, by_words: bool, token: str) -> list[Passage]:
        """Up to `limit` passages with text, best first, with the rights of `token`.

        By their meaning, and with `by_words` by the words of the query too, where the collection keeps any: that finds
        better, and its scores say nothing about passages of other collections.

        Raises CollectionUnusable where this collection cannot be searched by text while others may be; Unavailable and
        UpstreamTimeout naming `vectors`; Relayed for other refusals (a missing scope, an engine that is down).
        """

    async def search_files(
        self, store: str, query: str, files: FileSearch, *, by_words: bool, token: str
    ) -> list[FilePart]:
        """Parts of the files of a vector store that have text, best first, with the rights of `token`.

        Raises Unavailable and UpstreamTimeout naming `vectors`, and Relayed for what it refuses: an unknown store, a
        filter that is none, a missing scope.
        """


class CollectionUnusable(Exception):
    """A collection that does not exist, or that holds vectors no text can be compared with."""

    def __init__(self, collection: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.collection, self.code, self.detail = collection, code, detail


class AgentTools(Protocol):
    """The tools that a tenant has defined, which are called where their secrets are kept.

    Both raise AgentNotFound or Relayed for what is refused, Unavailable, UpstreamTimeout and UpstreamFailed naming
    `agents`.
    """

    async def list_of(self, agent_id: str, *, token: str) -> list[Tool]:
        """Those that the agent names, with the rights of `token`."""

    async def call(
        self, agent_id: str, name: str, arguments: Mapping[str, Any], *, timeout_seconds: float, token: str
    ) -> ToolResult:
        """What came of one call. Not repeated: it may have had its effect."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A task that was handed over."""

    id: str
    status: str


class TaskQueue(Protocol):
    """Takes work that is done later."""

    async def submit(self, kind: str, input: Mapping[str, Any], *, key: str, token: str) -> Submitted:
        """The task, with the rights of `token`; the same `key` is one task.

        Raises Unavailable, UpstreamTimeout and UpstreamFailed naming `tasks`, and Relayed for what it refuses.
        """


class LanguageModel(Protocol):
    """A model that continues a conversation."""

    def generate(self, ask: Ask) -> AsyncGenerator[Piece | Completion, None]:
        """The answer as pieces in order, then one Completion, which is always the last item.

        Closing the generator early stops the generation. Raises ContextExceeded (before any text), ModelUnknown,
        ModelRefused, ModelUnavailable (also when the stream breaks off) and ModelTimeout.
        """

    async def ping(self) -> None:
        """Raises ModelUnavailable, ModelRefused or ModelTimeout unless the provider answers."""
