"""Words for collections of a Qdrant server that were made without: in place, while others read and write."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from services.vectors.adapters.qdrant_collections import UNWORDED, Kept, QdrantCollections
from services.vectors.adapters.qdrant_connection import QdrantConnection
from services.vectors.adapters.qdrant_payload import TEXT, WORDS, physical_name
from services.vectors.domain import Collection
from services.vectors.errors import CollectionMissing
from services.vectors.words import Words, words_of
from shared.errors import ServiceError

_POINTS = 64
SETTLED_SECONDS = 60.0
"""After which no write is under way that was begun before there were words: a call takes 20 s at most."""
_PAUSE_SECONDS = 5.0
_LONG_AGO = "2000-01-01T00:00:00+00:00"


class WordsRefused(Exception):
    """The server took words and has none: a fault of ours or its own."""


class QdrantWords:
    """Several replicas may do the same at once: words are made of a text alone, and kept only while it is that one."""

    def __init__(
        self, connection: QdrantConnection, collections: QdrantCollections, settled_seconds: float = SETTLED_SECONDS
    ) -> None:
        self._qdrant, self._collections, self._settled_seconds = connection, collections, settled_seconds

    async def give(self, collection: Collection) -> None:
        """Returns when every text of `collection` has its words.

        Raises CollectionMissing, WordsRefused, and what a server says that adds no vectors to collections of before.
        """
        name = physical_name(collection.id)
        since = await self._begun(name, await self._collections.look_up(name))
        before = 0
        while (given := await self._pass(name)) or not self._is_settled(since):
            if given and given == before and self._is_settled(since):
                raise WordsRefused(f"{given} texts of {name} take no words")
            before = given
            await asyncio.sleep(min(_PAUSE_SECONDS, self._settled_seconds))
        await self._mark(name, "")
        self._collections.forget(name)

    async def _begun(self, name: str, kept: Kept) -> datetime:
        if kept.has_words:
            return datetime.fromisoformat(kept.unworded_since or _LONG_AGO)
        since = datetime.now(UTC)
        await self._mark(name, since.isoformat())  # first, or half of the words would pass for all
        try:
            await self._qdrant.run(
                lambda client, models: client.create_vector_name(
                    name,
                    WORDS,
                    models.SparseVectorNameConfig(sparse=models.SparseVectorConfig(modifier=models.Modifier.IDF)),
                )
            )
        except ServiceError:
            raise
        except Exception:
            if not (await self._collections.look_up(name)).has_words:  # by another replica
                raise
        return since

    async def _mark(self, name: str, since: str) -> None:
        await self._qdrant.run(lambda client, _: client.update_collection(name, metadata={UNWORDED: since}))

    def _is_settled(self, since: datetime) -> bool:
        return (datetime.now(UTC) - since).total_seconds() >= self._settled_seconds

    async def _pass(self, name: str) -> int:
        """How many texts there were without words, which have them now, or others."""
        given, offset = 0, None
        while True:
            texts, offset = await self._wordless(name, offset)
            if found := await asyncio.to_thread(_words_of, texts):
                await self._put(name, texts, found)
            given += len(found)
            if offset is None:
                return given

    async def _wordless(self, name: str, offset: Any) -> tuple[dict[Any, str], Any]:
        """Texts of some points that have no words, by their ids, and where the next follow."""
        found, following = await self._qdrant.run(
            lambda client, models: client.scroll(
                name,
                scroll_filter=models.Filter(must_not=[models.HasVectorCondition(has_vector=WORDS)]),
                limit=_POINTS,
                offset=offset,
                with_payload=[TEXT],
                with_vectors=False,
            )
        )
        return {point.id: text for point in found if (text := (point.payload or {}).get(TEXT))}, following

    async def _put(self, name: str, texts: dict[Any, str], words: dict[Any, Words]) -> None:
        """To those points whose texts still are these."""

        def same(models: Any, key: Any) -> Any:
            text = models.FieldCondition(key=TEXT, match=models.MatchValue(value=texts[key]))
            return models.Filter(must=[models.HasIdCondition(has_id=[key]), text])

        def vector(models: Any, some: Words) -> Any:
            return {WORDS: models.SparseVector(indices=some.tokens.tolist(), values=some.weights.tolist())}

        try:
            await self._qdrant.run(
                lambda client, models: client.update_vectors(
                    name,
                    [models.PointVectors(id=key, vector=vector(models, some)) for key, some in words.items()],
                    wait=True,
                    update_filter=models.Filter(should=[same(models, key) for key in words]),
                )
            )
        except CollectionMissing:  # told also where one of the points is gone; the others have theirs then
            if not await self._collections.holds(name):
                raise


def _words_of(texts: dict[Any, str]) -> dict[Any, Words]:
    """Of those texts that have any."""
    return {key: words for key, text in texts.items() if (words := words_of(text))}
