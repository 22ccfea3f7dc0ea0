"""Storing, replacing, reading and deleting records; making and dropping collections."""

import asyncio

import numpy as np
import pytest

from services.vectors.domain import Metric, Record
from services.vectors.errors import CollectionMissing
from services.vectors.ports import VectorEngine
from services.vectors.records.filters import parse
from tests.contracts.vectors.conftest import COSINE, NewCollection, a_collection
from tests.contracts.vectors.language import leaf


async def test_the_same_id_replaces_the_record_whole(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [COSINE.record("a", 1, 0, 0, 0, text="old", year=1999, kind="x")])
    await engine.upsert(collection, [COSINE.record("a", 0, 1, 0, 0, kind="y")])

    record = await engine.find(collection, "a")

    assert record is not None
    assert (record.text, record.metadata) == (None, {"kind": "y"})
    assert record.vector.tolist() == [0, 1, 0, 0]
    assert await engine.count(collection) == 1


async def test_a_replaced_record_leaves_nothing_for_filters_to_find(
    engine: VectorEngine, new_collection: NewCollection
) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [COSINE.record("a", 1, 0, 0, 0, year=1999, kind="x")])
    await engine.upsert(collection, [COSINE.record("a", 1, 0, 0, 0, other=1)])

    for condition in (
        leaf("year", "gt", 0),
        leaf("year", "lt", 3000),
        leaf("kind", "eq", "x"),
        leaf("year", "exists", True),
    ):
        assert await engine.search(collection, COSINE.vector(1, 0, 0, 0), 10, parse(condition)) == []


async def test_a_record_is_read_back_as_stored(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection(3, Metric.DOT)
    stored = Record("記録", np.array([0.1, -2.5, 3e-7], dtype=np.float32), "", {"a b.c": 'quote " and \\ slash'})
    await engine.upsert(collection, [stored])

    record = await engine.find(collection, stored.id)

    assert record is not None
    assert (record.id, record.text, record.metadata) == (stored.id, stored.text, stored.metadata)
    assert record.vector.dtype == np.float32
    assert record.vector.tolist() == stored.vector.tolist()
    assert await engine.find(collection, "another") is None


async def test_a_thousand_items_at_once(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection(64)
    vectors = np.random.default_rng(1).normal(size=(1000, 64))
    records = [COSINE.record(f"r{at}", *vector, text="x" * 500, n=at) for at, vector in enumerate(vectors)]

    await engine.upsert(collection, records)
    await engine.upsert(collection, records)

    assert await engine.count(collection) == 1000
    (best,) = await engine.search(collection, COSINE.vector(*vectors[617]), 1, None)
    assert (best.id, best.metadata) == ("r617", {"n": 617})


async def test_deleting_by_id_counts_what_was_there(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [COSINE.record(name, 1, at, 0, 0) for at, name in enumerate("abcd")])

    assert await engine.delete(collection, ["a", "c", "nobody"]) == 2
    assert await engine.delete(collection, ["a"]) == 0

    found = await engine.search(collection, COSINE.vector(1, 0, 0, 0), 10, None)
    assert {match.id for match in found} == {"b", "d"}


async def test_deleting_by_filter_counts_what_matched(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [COSINE.record(f"{at}", 1, at, 0, 0, n=at) for at in range(10)])

    assert await engine.delete_matching(collection, parse({"not": leaf("n", "gte", 4)})) == 4
    assert await engine.delete_matching(collection, parse(leaf("n", "lt", 4))) == 0

    assert await engine.count(collection) == 6


async def test_a_deleted_place_is_used_again(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [COSINE.record(f"old {at}", 1, at, 0, 0, old=True) for at in range(20)])
    await engine.delete(collection, [f"old {at}" for at in range(0, 20, 2)])
    await engine.upsert(collection, [COSINE.record(f"new {at}", 0, 0, 1, at, old=False) for at in range(15)])

    found = await engine.search(collection, COSINE.vector(0, 0, 1, 0), 100, parse(leaf("old", "eq", False)))
    everything = await engine.search(collection, COSINE.vector(0, 0, 1, 0), 100, None)

    assert {match.id for match in found} == {f"new {at}" for at in range(15)}
    assert len(everything) == await engine.count(collection) == 25


async def test_collections_of_one_name_never_see_each_other(
    engine: VectorEngine, new_collection: NewCollection
) -> None:
    ours, theirs = await new_collection(), await new_collection()
    assert ours.name == theirs.name
    await engine.upsert(ours, [COSINE.record("a", 1, 0, 0, 0, owner="us")])
    await engine.upsert(theirs, [COSINE.record("a", 1, 0, 0, 0, owner="them"), COSINE.record("b", 1, 0, 0, 0)])

    (match,) = await engine.search(ours, COSINE.vector(1, 0, 0, 0), 10, None)
    assert match.metadata == {"owner": "us"}
    assert await engine.find(ours, "b") is None
    assert await engine.delete(ours, ["b"]) == 0
    await engine.drop_collection(ours)

    assert await engine.count(theirs) == 2


async def test_creating_and_dropping_may_be_repeated(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [COSINE.record("a", 1, 0, 0, 0)])

    await engine.create_collection(collection)
    assert await engine.count(collection) == 1

    await engine.drop_collection(collection)
    await engine.drop_collection(collection)
    with pytest.raises(CollectionMissing):
        await engine.count(collection)


async def test_writes_under_way_do_not_revive_what_is_dropped(
    engine: VectorEngine, new_collection: NewCollection
) -> None:
    collection = await new_collection()
    records = [COSINE.record(f"{at}", 1, at, 0, 0, n=at) for at in range(300)]
    await engine.upsert(collection, records)

    async def drop() -> None:
        await engine.drop_collection(collection)

    outcomes = await asyncio.gather(
        *(engine.upsert(collection, records) for _ in range(3)),
        *(engine.merge_metadata(collection, f"{at}", {"n": -at}) for at in range(5)),
        drop(),
        engine.insert(collection, records),
        *(engine.upsert(collection, records) for _ in range(3)),
        return_exceptions=True,
    )

    assert [one for one in outcomes if isinstance(one, Exception) and not isinstance(one, CollectionMissing)] == []
    assert await engine.holds(collection) is False
    with pytest.raises(CollectionMissing):
        await engine.upsert(collection, records)


async def test_an_engine_says_what_it_holds(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()
    assert await engine.holds(collection) is True
    assert await engine.holds(a_collection(engine=engine.name)) is False

    await engine.drop_collection(collection)
    assert await engine.holds(collection) is False


async def test_every_call_says_when_the_collection_is_missing(engine: VectorEngine) -> None:
    missing = a_collection(engine=engine.name)
    vector = COSINE.vector(1, 0, 0, 0)

    for call in (
        lambda: engine.upsert(missing, [COSINE.record("a", 1, 0, 0, 0)]),
        lambda: engine.search(missing, vector, 10, None),
        lambda: engine.find(missing, "a"),
        lambda: engine.delete(missing, ["a"]),
        lambda: engine.delete_matching(missing, parse(leaf("a", "eq", 1))),
        lambda: engine.count(missing),
        lambda: engine.count(missing, parse(leaf("a", "eq", 1))),
        lambda: engine.page(missing, None, 10, None, with_vectors=False),
        lambda: engine.insert(missing, [COSINE.record("a", 1, 0, 0, 0)]),
        lambda: engine.merge_metadata(missing, "a", {"a": 1}),
    ):
        with pytest.raises(CollectionMissing):
            await call()


async def test_an_engine_says_what_it_can_do(engine: VectorEngine) -> None:
    assert set(engine.capabilities().metrics) == set(Metric)
    await engine.check()
