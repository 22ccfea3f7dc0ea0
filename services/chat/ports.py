"""The world outside, as chat needs it: who the agents are, what they know, and the model that speaks for them."""

from collections.abc import AsyncGenerator
from typing import Protocol

from services.chat.domain import Agent, Passage
from services.chat.generation import Ask, Completion, Piece


class AgentDirectory(Protocol):
    """The agents a caller may talk to."""

    async def get(self, agent_id: str, *, token: str) -> Agent:
        """The agent, with the rights of `token`.

        Raises AgentNotFound for one that is missing or another tenant's, Unavailable and UpstreamTimeout naming
        `agents`, and Relayed for what the directory itself refused (a missing scope).
        """


class Knowledge(Protocol):
    """Searchable collections of text."""

    async def search(self, collection: str, query: str, *, limit: int, by_words: bool, token: str) -> list[Passage]:
        """Up to `limit` passages with text, best first, with the rights of `token`.

        By their meaning, and with `by_words` by the words of the query too, where the collection keeps any: that finds
        better, and its scores say nothing about passages of other collections.

        Raises CollectionUnusable where this collection cannot be searched by text while others may be; Unavailable and
        UpstreamTimeout naming `vectors`; Relayed for other refusals (a missing scope, an engine that is down).
        """


class CollectionUnusable(Exception):
    """A collection that does not exist, or that holds vectors no text can be compared with."""

    def __init__(self, collection: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.collection, self.code, self.detail = collection, code, detail


class LanguageModel(Protocol):
    """A model that continues a conversation."""

    def generate(self, ask: Ask) -> AsyncGenerator[Piece | Completion, None]:
        """The answer as pieces in order, then one Completion, which is always the last item.

        Closing the generator early stops the generation. Raises ContextExceeded (before any text), ModelUnknown,
        ModelRefused, ModelUnavailable (also when the stream breaks off) and ModelTimeout.
        """

    async def ping(self) -> None:
        """Raises ModelUnavailable, ModelRefused or ModelTimeout unless the provider answers."""
