"""Finds what an agent's collections say about a message."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from services.chat.domain import Agent, Evidence, Passage, SearchWarning
from services.chat.ports import CollectionUnusable, Knowledge
from shared.ending import within
from shared.errors import UpstreamTimeout

_MAX_QUERY_CHARS = 2_000  # an embedding model reads about 512 tokens of a query; the rest would be sent for nothing
Found = list[Passage] | SearchWarning


class Retriever:
    """Searches all collections of an agent at once."""

    def __init__(self, knowledge: Knowledge, limit_per_collection: int, seconds: float) -> None:
        self._knowledge = knowledge
        self._limit = limit_per_collection
        self._seconds = seconds

    async def retrieve(self, agent: Agent, content: str, *, token: str) -> Evidence:
        """What was found, best first, with a warning for each collection that cannot be searched.

        One collection alone is searched by words too; passages of several are compared, which only meaning allows.
        An agent may well name a collection before its first document is stored, so a missing one is an empty one. For
        nothing but blanks, as where a history has no question, nothing is looked for.
        Raises what Knowledge.search raises, and UpstreamTimeout for searches that outlive their limit.
        """
        query, is_alone = content[:_MAX_QUERY_CHARS], len(agent.knowledge) == 1
        if not query.strip():
            return Evidence()
        searches = [self._search(collection, query, is_alone, token) for collection in agent.knowledge]
        try:
            found = await within(self._seconds, _all_of(searches))
        except TimeoutError as error:
            raise UpstreamTimeout("vectors") from error
        for outcome in found:
            if isinstance(outcome, BaseException):
                raise outcome
        passages = [passage for outcome in found if isinstance(outcome, list) for passage in outcome]
        return Evidence(best_first(passages), [outcome for outcome in found if isinstance(outcome, SearchWarning)])

    async def _search(self, collection: str, query: str, by_words: bool, token: str) -> Found:
        try:
            return await self._knowledge.search(collection, query, limit=self._limit, by_words=by_words, token=token)
        except CollectionUnusable as error:
            return SearchWarning(collection, error.code, error.detail)


async def _all_of(searches: list[Coroutine[Any, Any, Found]]) -> list[Found | BaseException]:
    return await asyncio.gather(*searches, return_exceptions=True)  # so that none is left running behind an error


def best_first(passages: Iterable[Passage]) -> list[Passage]:
    """By falling score, the same text only once. Sorting is stable: equals stay in the order of the collections."""
    by_text: dict[str, Passage] = {}
    for passage in sorted(passages, key=lambda passage: -passage.score):
        by_text.setdefault(passage.text, passage)
    return list(by_text.values())
