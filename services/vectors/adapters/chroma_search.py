"""The nearest records of a ChromaDB collection, those too that its graph has lost.

ChromaDB finds by a graph (HNSW), from which replacing and deleting cut records off: no query reaches them again,
however many it asks for, while `get` still has them (chroma-core/chroma#7758). So among few enough a query asks for
all, and what it leaves out is fetched and scored here. What is answered is scored here too: ChromaDB says one less the
inner product, in 32 bits, which leaves nothing of a small one.
"""

import asyncio
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.vectors.adapters.chroma_api import ChromaApi
from services.vectors.adapters.chroma_contents import Answer, contents_of, parts_of
from services.vectors.domain import Match, Metric, Vector
from services.vectors.geometry import score
from services.vectors.room import Room

EXACT_RECORDS = 5_000
"""Among so many records that meet the filter, none is missed."""
_FETCHED_AT_ONCE = 64  # these few are compared here: a query that a filter leaves few goes through all of the graph
_WIDER = 4  # than asked for: what goes through more of the graph misses less

Scores = dict[str, float]


@dataclass(frozen=True, slots=True)
class ChromaSearch:
    """One search in one collection."""

    api: ChromaApi
    chroma_id: str
    metric: Metric
    vector: Vector
    where: Mapping[str, Any] | None
    exact_up_to: int = EXACT_RECORDS

    async def nearest(self, limit: int) -> list[Match]:
        """Up to `limit` of them; what meets the filter no more when it is read is made up for by those that follow.

        Raises AnswerTooLarge.
        """
        ids = None if self.where is None else await self.api.ids(self.chroma_id, self.where, limit=self.exact_up_to + 1)
        number = await self.api.count(self.chroma_id) if ids is None else len(ids)
        scores = await self._scores(limit, number, ids)
        ordered = iter(sorted(scores, key=lambda one: (-scores[one], one)))
        nearest, room = list[Match](), Room()
        while some := list(itertools.islice(ordered, limit - len(nearest))):
            nearest += await self._matches(some, room)
        return nearest

    async def _scores(self, limit: int, number: int, ids: Sequence[str] | None) -> Scores:
        """Roughly, of all `number` that meet the filter, or of the nearest if they are too many."""
        if number > self.exact_up_to:
            return await self._queried(limit * _WIDER)
        found = await self._queried(number) if number > _FETCHED_AT_ONCE else {}
        if ids is None:
            ids = await self.api.ids(self.chroma_id, None, limit=self.exact_up_to + 1) if len(found) < number else ()
        found |= await self._fetched([one for one in ids if one not in found])
        return found

    async def _queried(self, limit: int) -> Scores:
        """By ChromaDB's graph."""
        found = await self.api.query(self.chroma_id, self.vector, limit, self.where)
        return {one: _score(self.metric, distance) for one, distance in found}

    async def _fetched(self, ids: Sequence[str]) -> Scores:
        found: Scores = {}
        async for part in parts_of(self.api, self.chroma_id, ids, ["embeddings"]):
            found |= dict(zip(part["ids"], await asyncio.to_thread(self._scored, part), strict=True))
        return found

    async def _matches(self, ids: Sequence[str], room: Room) -> list[Match]:
        """Raises AnswerTooLarge."""
        matches: list[Match] = []
        wanted = ["documents", "metadatas", "embeddings"]
        async for part in parts_of(self.api, self.chroma_id, ids, wanted, self.where):
            matches += await asyncio.to_thread(self._read, part, room)
        return matches

    def _read(self, answer: Answer, room: Room) -> list[Match]:
        rows = zip(answer["ids"], self._scored(answer), contents_of(answer, room), strict=True)
        return [Match(one, value, *content) for one, value, content in rows]

    def _scored(self, answer: Answer) -> list[float]:
        return _exact(self.metric, self.vector, answer["embeddings"])


def _exact(metric: Metric, vector: Vector, others: Sequence[Sequence[float]]) -> list[float]:
    """In 64 bits: of those that ChromaDB has in 32."""
    if not others:
        return []
    one, many = vector.astype(np.float64), np.array(others, dtype=np.float64)
    raw = np.linalg.norm(many - one, axis=1) if metric is Metric.L2 else many @ one
    return [score(metric, float(value)) for value in raw]


def _score(metric: Metric, distance: float | None) -> float:
    """ChromaDB answers one less the cosine or the inner product, or the squared Euclidean distance."""
    if distance is None:
        return score(metric, None)
    return score(metric, math.sqrt(max(0.0, distance)) if metric is Metric.L2 else 1.0 - distance)
