"""What `GET /vectors/engines` says is what this suite proves: an engine offers it, or refuses it by name."""

import numpy as np
import pytest

from services.vectors.domain import ALL_MODES, DENSE_ONLY, Metric, Record, ranked
from services.vectors.errors import UnsupportedCapability
from services.vectors.ports import VectorEngine
from shared.texts import asked_of
from tests.contracts.vectors.conftest import COSINE, NewCollection


async def test_keywords_are_searched_where_they_are_offered_and_refused_elsewhere(
    engine: VectorEngine, new_collection: NewCollection
) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [COSINE.record("a", 1, 0, 0, 0, text="some words")])
    offered = engine.capabilities().modes
    assert offered in (ALL_MODES, DENSE_ONLY)  # who finds keywords finds both: fusing is the service's work

    if offered == DENSE_ONLY:
        with pytest.raises(UnsupportedCapability, match="'keyword' search"):
            await engine.search_words(collection, asked_of("words"), 10, None)
    else:
        assert [match.id for match in await engine.search_words(collection, asked_of("words"), 10, None)] == ["a"]


async def test_what_is_exact_misses_nothing(engine: VectorEngine, new_collection: NewCollection) -> None:
    """Clusters that overlap, of which a graph's search misses some."""
    can = engine.capabilities()
    assert can.exact_on_request >= can.exact
    if not can.exact_on_request and (can.exact_up_to or 0) < 2000:
        pytest.skip("offers no exact search among so many")
    collection = await new_collection(24, Metric.COSINE)
    generator = np.random.default_rng(11)
    centers = generator.normal(size=(20, 24))
    vectors = [COSINE.vector(*(centers[at % 20] + 0.7 * generator.normal(size=24))) for at in range(2000)]
    for start in range(0, 2000, 1000):
        some = range(start, start + 1000)
        await engine.upsert(collection, [Record(f"{at:04}", vectors[at]) for at in some])
    query = COSINE.vector(*generator.normal(size=24))

    found = ranked(await engine.search(collection, query, 1000, None, exact=can.exact_on_request))

    similarities = np.stack(vectors) @ query
    assert {match.id for match in found} == {f"{at:04}" for at in np.argsort(-similarities)[:1000]}
