"""What both models of embeddings share: batches, turns, a bound on the wait, and the vectors of recent texts.

A store of many texts may take longer than a request may last. What was embedded by then is kept, so that repeating the
request goes on where it stopped.
"""

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from cachetools import LRUCache

from services.vectors.domain import Vector
from shared.errors import Unavailable, UpstreamTimeout
from shared.identity import Caller
from shared.limits import Shares, Turns

COMPONENT = "embeddings"
_PLACES = 64  # requests; more would only wait for their timeouts

Key = bytes


class BatchingEmbedder(ABC):
    """Embedder over `embed_batch`, of which `lanes` run at once, and `query_lanes` for queries.

    Tenants take turns, batch by batch: who stores a thousand texts keeps a neighbour waiting for one batch of theirs.
    """

    def __init__(
        self,
        *,
        model: str,
        dimension: int,
        lanes: int,
        query_lanes: int,
        batch_texts: int,
        batch_chars: int,
        timeout_seconds: float,
        cached: int,
    ) -> None:
        self.model = model
        self.dimension = dimension
        self._lanes = lanes
        self._batch_texts, self._batch_chars = batch_texts, batch_chars
        self._timeout_seconds = timeout_seconds
        self._cache: LRUCache[Key, Vector] = LRUCache(maxsize=cached)
        self._shares = Shares("embeddings", _PLACES)
        self._turns = {
            is_query: Turns(at_once, waiting=_PLACES * lanes, per_source=_PLACES * lanes)
            for is_query, at_once in ((False, lanes), (True, query_lanes))
        }

    @abstractmethod
    async def embed_batch(self, texts: Sequence[str], *, is_query: bool) -> list[Vector]:
        """The vectors of a few texts, in their order."""

    async def embed_query(self, text: str, caller: Caller) -> Vector:
        return (await self._embed([text], caller, is_query=True))[0]

    async def embed_queries(self, texts: Sequence[str], caller: Caller) -> list[Vector]:
        return await self._embed(texts, caller, is_query=True)

    async def embed_passages(self, texts: Sequence[str], caller: Caller) -> list[Vector]:
        return await self._embed(texts, caller, is_query=False)

    async def _embed(self, texts: Sequence[str], caller: Caller, *, is_query: bool) -> list[Vector]:
        place = self._shares.take(caller.tenant_id, caller.subject)
        if place is None:
            raise Unavailable(COMPONENT)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._all(texts, caller.tenant_id, is_query=is_query)
        except TimeoutError as error:
            raise UpstreamTimeout(COMPONENT) from error
        finally:
            place.give_back()

    async def _all(self, texts: Sequence[str], tenant_id: str, *, is_query: bool) -> list[Vector]:
        keys = [_key(text, is_query=is_query) for text in texts]
        found = {key: self._cache[key] for key in keys if key in self._cache}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        batches = self._batches(missing)
        lanes = [
            asyncio.create_task(self._lane(batches, found, tenant_id, is_query=is_query)) for _ in range(self._lanes)
        ]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
        return [found[key] for key in keys]

    async def _lane(
        self, batches: Iterator[list[tuple[Key, str]]], found: dict[Key, Vector], tenant_id: str, *, is_query: bool
    ) -> None:
        turns = self._turns[is_query]
        for batch in batches:
            async with turns.turn(tenant_id, lambda: Unavailable(COMPONENT)):
                vectors = await self.embed_batch([text for _, text in batch], is_query=is_query)
            for (key, _), vector in zip(batch, vectors, strict=True):
                found[key] = vector
                if self._cache.maxsize:
                    self._cache[key] = vector

    def _batches(self, texts: dict[Key, str]) -> Iterator[list[tuple[Key, str]]]:
        batch: list[tuple[Key, str]] = []
        chars = 0
        for key, text in texts.items():
            if batch and (len(batch) == self._batch_texts or chars + len(text) > self._batch_chars):
                yield batch
                batch, chars = [], 0
            batch.append((key, text))
            chars += len(text)
        if batch:
            yield batch


def _key(text: str, *, is_query: bool) -> Key:
    return hashlib.blake2b(text.encode(), digest_size=16, person=b"query" if is_query else b"passage").digest()
