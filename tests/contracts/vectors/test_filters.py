"""Filters mean on every engine exactly what `language.matches` says, whatever the metadata."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.vectors.domain import Collection, Metadata, Record
from services.vectors.ports import VectorEngine
from services.vectors.records.filters import parse
from tests.contracts.vectors.conftest import COSINE, NewCollection
from tests.contracts.vectors.language import Filter, filters, leaf, matches, metadata


@pytest.fixture
async def collection(new_collection: NewCollection) -> Collection:
    return await new_collection()


@given(stored=st.lists(metadata, min_size=1, max_size=12), asked=st.lists(filters, min_size=1, max_size=6))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_filters_mean_what_the_language_says(
    engine: VectorEngine, collection: Collection, stored: list[Metadata], asked: list[Filter]
) -> None:
    """One collection for all examples: records replace those of the example before, and nothing of them may remain."""
    await engine.delete(collection, [str(at) for at in range(len(stored), 12)])
    vectors = [COSINE.vector(1, at, 0, 0) for at in range(len(stored))]
    await engine.upsert(collection, [Record(str(at), vectors[at], None, one) for at, one in enumerate(stored)])

    for condition in asked:
        found = await engine.search(collection, COSINE.vector(1, 0, 0, 0), 50, parse(condition))
        expected = {str(at) for at, one in enumerate(stored) if matches(condition, one)}
        assert {match.id for match in found} == expected, condition


async def test_a_selective_filter_loses_nothing(engine: VectorEngine, new_collection: NewCollection) -> None:
    """The matching records are the farthest of all: filtering after the search would find none of them."""
    collection = await new_collection(16)
    generator = np.random.default_rng(5)
    near = generator.normal(loc=3, size=(990, 16))
    far = generator.normal(loc=-3, size=(10, 16))
    records = [COSINE.record(f"near {at}", *vector, rare=False, n=at) for at, vector in enumerate(near)]
    records += [COSINE.record(f"far {at}", *vector, rare=True, n=1000 + at) for at, vector in enumerate(far)]
    await engine.upsert(collection, records)

    for condition in (leaf("rare", "eq", True), leaf("n", "gte", 1000), {"not": leaf("rare", "eq", False)}):
        found = await engine.search(collection, COSINE.vector(*np.ones(16)), 10, parse(condition))
        assert {match.id for match in found} == {f"far {at}" for at in range(10)}


async def test_the_largest_filter_of_the_language_is_answered(
    engine: VectorEngine, new_collection: NewCollection
) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [Record("a", COSINE.vector(1, 0, 0, 0), None, {"n": 63})])
    condition: Filter = {"or": [leaf("n", "eq", at) for at in range(64)]}
    for _ in range(3):
        condition = {"not": {"not": condition}}

    assert len(await engine.search(collection, COSINE.vector(1, 0, 0, 0), 10, parse(condition))) == 1
