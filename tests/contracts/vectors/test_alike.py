"""Every engine finds the same: the ids, the order and the scores that comparing everything with everything finds.

In a collection of 2,000 records that are stored, replaced, deleted by ids and by a filter, and stored again.
`make alike` makes all of the searches, `make test` some.
"""

import os
from typing import Final

import pytest

from services.vectors.domain import Collection, Metric, Record
from services.vectors.ports import VectorEngine
from services.vectors.records.filters import parse
from services.vectors.searching.ranking import best
from tests.contracts.vectors.alike import DIMENSION, GONE, Check, Search, life
from tests.contracts.vectors.conftest import NewCollection

SEARCHES: Final = 243 if "ALIKE" in os.environ else 8  # after each of three changes


class Living:
    """A collection to which things are done."""

    def __init__(self, engine: VectorEngine, collection: Collection) -> None:
        self._engine = engine
        self._collection = collection

    async def store(self, records: list[Record]) -> None:
        for start in range(0, len(records), 1000):
            await self._engine.upsert(self._collection, records[start : start + 1000])

    async def delete(self, gone: int, ids: list[str]) -> None:
        """By a filter, and by ids."""
        assert await self._engine.delete_matching(self._collection, parse(GONE)) == gone
        await self._engine.delete(self._collection, ids)

    async def check(self, checks: list[Check]) -> None:
        assert len(checks) == SEARCHES
        for check in checks:
            found, search = await self._found(check.search), check.search
            assert [one for one, _ in found] == [one for one, _ in check.expected], search
            scores = [score for _, score in check.expected]
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
    living, given = Living(engine, await new_collection(DIMENSION, metric)), life(metric, SEARCHES)
    await living.store(given.stored)
    await living.check(given.checks[0])
    await living.store(given.replaced)
    await living.check(given.checks[1])
    await living.delete(given.gone, given.deleted)
    await living.store(given.stored_again)
    await living.check(given.checks[2])
