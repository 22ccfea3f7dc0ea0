"""Searching: scores, order, ties and bounds are the same on every engine."""

import numpy as np
import pytest

from services.vectors.domain import Metadata, Metric, Record, SearchMode, ranked
from services.vectors.errors import AnswerTooLarge
from services.vectors.ports import VectorEngine
from shared.texts import asked_of
from tests.contracts.vectors.conftest import COSINE, DOT, L2, NewCollection, Space


async def test_cosine_scores_are_cosines(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection(2, Metric.COSINE)
    await engine.upsert(
        collection, [COSINE.record("same", 9, 0), COSINE.record("right", 0, 2), COSINE.record("back", -1, 0)]
    )

    found = ranked(await engine.search(collection, COSINE.vector(3, 0), 10, None))

    assert [(match.id, match.score) for match in found] == [("same", 1.0), ("right", 0.0), ("back", -1.0)]


async def test_dot_scores_are_inner_products(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection(2, Metric.DOT)
    await engine.upsert(collection, [DOT.record("small", 1, 1), DOT.record("large", 10, 0), DOT.record("back", -2, 0)])

    found = ranked(await engine.search(collection, DOT.vector(3, 0.5), 10, None))

    assert [match.id for match in found] == ["large", "small", "back"]
    assert [match.score for match in found] == pytest.approx([30, 3.5, -6], rel=1e-5)


async def test_l2_scores_are_negated_distances(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection(2, Metric.L2)
    await engine.upsert(collection, [L2.record("here", 0, 0), L2.record("near", 3, 4), L2.record("far", 60, 80)])

    found = ranked(await engine.search(collection, L2.vector(0, 0), 10, None))

    assert [match.id for match in found] == ["here", "near", "far"]
    assert [match.score for match in found] == pytest.approx([0, -5, -100], rel=1e-5)


@pytest.mark.parametrize("space", [COSINE, DOT, L2], ids=["cosine", "dot", "l2"])
async def test_order_is_that_of_exact_search(engine: VectorEngine, new_collection: NewCollection, space: Space) -> None:
    collection = await new_collection(32, space.metric)
    generator = np.random.default_rng(7)
    vectors = [space.vector(*generator.normal(size=32)) for _ in range(300)]
    await engine.upsert(collection, [Record(f"{at:03}", vector) for at, vector in enumerate(vectors)])
    query = space.vector(*generator.normal(size=32))

    found = ranked(await engine.search(collection, query, 10, None))

    expected = sorted(range(300), key=lambda at: -_similarity(space.metric, query, vectors[at]))[:10]
    assert [match.id for match in found] == [f"{at:03}" for at in expected]
    assert [match.score for match in found] == pytest.approx(
        [_similarity(space.metric, query, vectors[at]) for at in expected], rel=1e-4
    )


def _similarity(metric: Metric, one: np.ndarray, other: np.ndarray) -> float:
    one, other = one.astype(np.float64), other.astype(np.float64)
    return -float(np.linalg.norm(one - other)) if metric is Metric.L2 else float(one @ other)


async def test_equal_records_tie_exactly(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection(8)
    numbers = np.random.default_rng(3).normal(size=8)
    await engine.upsert(collection, [COSINE.record(f"twin {at}", *(numbers * (at + 1))) for at in range(20)])

    found = ranked(await engine.search(collection, COSINE.vector(*np.ones(8)), 20, None))

    assert len({match.score for match in found}) == 1
    assert [match.id for match in found] == sorted(f"twin {at}" for at in range(20))


async def test_k_beyond_the_number_of_records_gives_them_all(
    engine: VectorEngine, new_collection: NewCollection
) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [COSINE.record("a", 1, 0, 0, 0), COSINE.record("b", 0, 1, 0, 0)])

    found = await engine.search(collection, COSINE.vector(1, 1, 0, 0), 200, None)

    assert {match.id for match in found} == {"a", "b"}


async def test_an_empty_collection_answers_with_nothing(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()

    assert await engine.search(collection, COSINE.vector(1, 0, 0, 0), 10, None) == []
    assert await engine.count(collection) == 0


async def test_a_match_carries_text_and_metadata_as_stored(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()
    metadata: Metadata
    metadata = {"int": 1, "float": 1.0, "yes": True, "no": False, "text": "1", "list": ["ü", 2, 2.5], "none": []}
    stored = Record("Ω/ä b", COSINE.vector(1, 0, 0, 0), "Grüße, 世界 \U0001f600", metadata)
    await engine.upsert(collection, [stored])

    (match,) = await engine.search(collection, COSINE.vector(1, 0, 0, 0), 1, None)

    assert (match.id, match.text, match.metadata) == (stored.id, stored.text, metadata)
    assert [type(value) for value in match.metadata.values()] == [type(value) for value in metadata.values()]


async def test_what_is_more_than_one_answer_may_hold_is_refused_and_ends_nothing(
    engine: VectorEngine, new_collection: NewCollection
) -> None:
    """Forty megabytes: read whole, and those of others with them, they took the memory and the time of everybody."""
    collection = await new_collection()
    text, metadata = "wort " * 3000, {f"note {at}": "\u4e2d" * 4000 for at in range(20)}
    for start in range(0, 160, 40):
        large = [COSINE.record(f"{at:03}", 1, at, 0, 0, text=text, **metadata) for at in range(start, start + 40)]
        await engine.upsert(collection, large)
    vector, tokens = COSINE.vector(1, 0, 0, 0), asked_of("wort")

    with pytest.raises(AnswerTooLarge):
        await engine.search(collection, vector, 160, None)
    if SearchMode.KEYWORD in engine.capabilities().modes:
        with pytest.raises(AnswerTooLarge):
            await engine.search_words(collection, tokens, 160, None)
        assert len(await engine.search_words(collection, tokens, 40, None)) == 40
    with pytest.raises(AnswerTooLarge):
        await engine.page(collection, None, 160, None, with_vectors=False)

    assert ranked(await engine.search(collection, vector, 40, None))[0].id == "000"
    assert len(await engine.page(collection, None, 40, None, with_vectors=False)) == 40
