"""Every engine finds the same: the ids, the order and the scores that comparing everything with everything finds.

In a collection of 2,000 records that are stored, replaced, deleted by ids and by a filter, and stored again.
`make alike` makes all of the searches, `make test` some.
"""

import os
import random
from typing import Final

import pytest

from services.vectors.domain import Collection, Metric
from services.vectors.ports import VectorEngine
from services.vectors.records.filters import parse
from services.vectors.searching.ranking import best
from tests.contracts.vectors.alike import DIMENSION, RECORDS, Oracle, Search, searches, some_records
from tests.contracts.vectors.conftest import NewCollection, Space
from tests.contracts.vectors.language import leaf

SEARCHES: Final = 243 if "ALIKE" in os.environ else 8  # after each of three changes
GONE: Final = {"or": [leaf("kind", "exists", True), leaf("year", "lt", 0)]}
IDS: Final = [f"{at:04} ü" for at in range(RECORDS)]


class Living:
    """A collection and what it should hold."""

    def __init__(self, engine: VectorEngine, collection: Collection) -> None:
        self._engine = engine
        self._collection = collection
        self._space = Space(collection.metric)
        self._oracle = Oracle(collection.metric)
        self._chance = random.Random(11)

    async def store(self, ids: list[str]) -> None:
        records = some_records(self._chance, ids, self._space)
        for start in range(0, len(records), 1000):
            await self._engine.upsert(self._collection, records[start : start + 1000])
        self._oracle.upsert(records)

    async def replace(self) -> None:
        await self.store(self._chance.sample(IDS, RECORDS // 5))

    async def delete(self) -> None:
        """By a filter, by ids, and some of them are stored again."""
        gone = [record.id for record in self._oracle.meeting(GONE)]
        assert await self._engine.delete_matching(self._collection, parse(GONE)) == len(gone)
        self._oracle.delete(gone)
        some = self._chance.sample(IDS, RECORDS // 5)
        await self._engine.delete(self._collection, some)
        self._oracle.delete(some)
        await self.store(some[: RECORDS // 20])

    async def check(self, seed: int) -> None:
        for search in searches(SEARCHES, seed, self._space):
            expected = self._oracle.nearest(search)
            found = await self._found(search)
            assert [one for one, _ in found] == [one for one, _ in expected], search
            scores = [score for _, score in expected]
            assert [score for _, score in found] == pytest.approx(scores, rel=5.1e-6, abs=1e-6), search  # six digits

    async def _found(self, search: Search) -> list[tuple[str, float]]:
        condition = parse(search.condition) if search.condition else None
        found = await best(
            lambda limit: self._engine.search(self._collection, search.vector, limit, condition), search.k
        )
        return [(match.id, match.score) for match in found]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("metric", Metric)
async def test_searches_find_what_comparing_everything_finds(
    engine: VectorEngine, new_collection: NewCollection, metric: Metric
) -> None:
    living = Living(engine, await new_collection(DIMENSION, metric))
    await living.store(IDS)
    await living.check(1)
    await living.replace()
    await living.check(2)
    await living.delete()
    await living.check(3)
