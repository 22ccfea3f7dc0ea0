"""Listing and counting records, storing only what is absent, and changing metadata: the same on every engine."""

import asyncio

import numpy as np
import pytest

from services.vectors.domain import (
    MAX_METADATA_KEYS,
    MAX_RECORD_BYTES,
    Collection,
    Metadata,
    MetadataScalar,
    Metric,
    Record,
)
from services.vectors.errors import MetadataTooLarge
from services.vectors.ports import VectorEngine
from services.vectors.records.filters import parse
from services.vectors.terms import Condition
from shared.errors import ServiceError
from tests.contracts.vectors.conftest import COSINE, DOT, NewCollection
from tests.contracts.vectors.language import leaf


async def pages(
    engine: VectorEngine, collection: Collection, limit: int, condition: Condition | None = None
) -> list[list[Record]]:
    """All pages, each from where the one before ended."""
    found: list[list[Record]] = []
    while not found or found[-1]:
        after = found[-1][-1].id if found else None
        found.append(await engine.page(collection, after, limit, condition, with_vectors=False))
    assert {len(page) for page in found[:-2]} <= {limit}
    return found[:-1]


def ids(pages: list[list[Record]]) -> list[str]:
    return [record.id for page in pages for record in page]


async def fill(engine: VectorEngine, collection: Collection, number: int) -> list[str]:
    records = [COSINE.record(f"größe/{at}", 1, at, 0, 0, text=f"text {at}", n=at) for at in range(number)]
    await engine.upsert(collection, records)
    return [record.id for record in records]


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_pages_have_every_record_once(engine: VectorEngine, new_collection: NewCollection, limit: int) -> None:
    collection = await new_collection()
    stored = await fill(engine, collection, 50)

    found = ids(await pages(engine, collection, limit))

    assert sorted(found) == sorted(stored)


async def test_pages_have_what_meets_the_filter(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()
    stored = await fill(engine, collection, 300)
    rare = parse({"or": [leaf("n", "gte", 297), leaf("n", "eq", 0)]})

    assert set(ids(await pages(engine, collection, 2, rare))) == {stored[at] for at in (0, 297, 298, 299)}
    assert await engine.page(collection, None, 10, parse(leaf("n", "eq", -1)), with_vectors=False) == []
    assert await engine.count(collection, rare) == 4
    assert await engine.count(collection, parse({"not": leaf("n", "lt", 100)})) == 200
    assert await engine.count(collection) == 300


async def test_what_stays_is_listed_once_whatever_is_written_meanwhile(
    engine: VectorEngine, new_collection: NewCollection
) -> None:
    collection = await new_collection()
    stored = await fill(engine, collection, 60)
    order = ids(await pages(engine, collection, 100))
    seen: list[str] = []
    after = None
    while page := await engine.page(collection, after, 8, None, with_vectors=False):
        seen += [record.id for record in page]
        after = seen[-1]
        await engine.delete(collection, [seen[0], after])  # the very one that the next page follows, too
        await engine.upsert(collection, [COSINE.record(f"new {len(seen)}", 1, 1, 1, 1)])
        await engine.upsert(collection, [COSINE.record(order[-1], 1, 1, 1, 1, n=1)])

    assert [one for one in seen if one in stored] == order
    assert len(set(seen)) == len(seen)


async def test_a_page_has_records_as_stored(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection(4, Metric.DOT)
    stored = DOT.record("Ω/ä b", 0.1, 2, 0, -3e-7, text="Grüße", tags=["a", 1, True], none=[])
    bare = DOT.record("bare", 0, 1, 0, 0)
    await engine.upsert(collection, [stored, bare])

    found = {one.id: one for one in await engine.page(collection, None, 10, None, with_vectors=True)}
    without = await engine.page(collection, None, 10, None, with_vectors=False)

    for record in (stored, bare):
        kept = found[record.id]
        assert (kept.text, kept.metadata, kept.vector.tolist()) == (
            record.text,
            record.metadata,
            record.vector.tolist(),
        )
        assert kept.vector.dtype == np.float32
    assert [one.vector.size for one in without] == [0, 0]


async def test_what_is_absent_is_stored_and_what_is_there_stays(
    engine: VectorEngine, new_collection: NewCollection
) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [COSINE.record("there", 1, 0, 0, 0, text="first", n=1)])

    both = [COSINE.record("there", 0, 1, 0, 0, text="second"), COSINE.record("new", 0, 1, 0, 0, text="new", n=2)]
    stored = await engine.insert(collection, both)
    again = await engine.insert(collection, both)

    assert (stored, again) == (["new"], [])
    there, new = [await engine.find(collection, one) for one in ("there", "new")]
    assert there is not None
    assert new is not None
    assert (there.text, there.metadata, there.vector.tolist()) == ("first", {"n": 1}, [1, 0, 0, 0])
    assert (new.text, new.metadata) == ("new", {"n": 2})
    assert await engine.count(collection, parse(leaf("n", "gt", 1))) == 1


async def test_of_several_at_once_one_stores_what_is_absent(
    engine: VectorEngine, new_collection: NewCollection
) -> None:
    collection = await new_collection()
    records = [[COSINE.record(f"{at}", 1, 0, 0, 0, by=by) for at in range(100)] for by in range(6)]

    stored = await asyncio.gather(*(engine.insert(collection, some) for some in records))

    assert sorted(one for some in stored for one in some) == sorted(f"{at}" for at in range(100))
    for by, some in enumerate(stored):
        for one in some[:3]:
            kept = await engine.find(collection, one)
            assert kept is not None
            assert kept.metadata == {"by": by}


async def test_metadata_changes_and_the_rest_stays(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()
    before = COSINE.record("a", 1, 0, 0, 0, text="kept", year=1999, kind="x", draft=True)
    await engine.upsert(collection, [before, COSINE.record("b", 0, 1, 0, 0, year=1999)])

    made = await engine.merge_metadata(
        collection, "a", {"year": 2020.5, "draft": None, "new": ["ü", 1], "absent": None}
    )

    found = await engine.find(collection, "a")
    assert made is not None
    assert found is not None
    for record in (made, found):
        assert record.metadata == {"year": 2020.5, "kind": "x", "new": ["ü", 1]}
        assert (record.text, record.vector.tolist()) == ("kept", before.vector.tolist())
    for condition, expected in (
        (leaf("year", "gt", 2000), ["a"]),
        (leaf("year", "lt", 2000), ["b"]),
        (leaf("draft", "exists", True), []),
        (leaf("new", "eq", "ü"), ["a"]),
        (leaf("kind", "eq", "x"), ["a"]),
    ):
        matches = await engine.search(collection, COSINE.vector(1, 0, 0, 0), 10, parse(condition))
        assert [match.id for match in matches] == expected, condition
    assert await engine.merge_metadata(collection, "nobody", {"year": 1}) is None
    assert await engine.count(collection) == 2


async def test_a_change_of_type_alone_is_a_change(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [COSINE.record("a", 1, 0, 0, 0, flag=1)])

    await engine.merge_metadata(collection, "a", {"flag": True})

    assert await engine.count(collection, parse(leaf("flag", "eq", True))) == 1
    assert await engine.count(collection, parse(leaf("flag", "eq", 1))) == 0


async def test_of_several_changes_at_once_none_is_lost(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()
    await engine.upsert(collection, [COSINE.record("a", 1, 0, 0, 0, gone=1)])

    await asyncio.gather(*(engine.merge_metadata(collection, "a", {f"key {at}": at}) for at in range(12)))

    found = await engine.find(collection, "a")
    assert found is not None
    assert found.metadata == {"gone": 1, **{f"key {at}": at for at in range(12)}}


async def test_metadata_does_not_outgrow_its_bound(engine: VectorEngine, new_collection: NewCollection) -> None:
    collection = await new_collection()
    full: Metadata = {f"k{at}": at for at in range(MAX_METADATA_KEYS)}
    await engine.upsert(collection, [Record("a", COSINE.vector(1, 0, 0, 0), None, full)])

    with pytest.raises(ServiceError) as refused:
        await engine.merge_metadata(collection, "a", {"more": 1})
    assert refused.value.code == MetadataTooLarge.code
    await engine.merge_metadata(collection, "a", {"more": 1, "k0": None})

    found = await engine.find(collection, "a")
    assert found is not None
    assert found.metadata == {key: value for key, value in full.items() if key != "k0"} | {"more": 1}


async def test_metadata_outgrows_no_store_by_changes(engine: VectorEngine, new_collection: NewCollection) -> None:
    """Change by change it grew to 64 megabytes, which nobody could read any more."""
    collection = await new_collection()
    quarter: list[MetadataScalar] = ["x" * 4096] * 64
    most = MAX_RECORD_BYTES // (4096 * 64)
    full: Metadata = {f"k{at}": quarter for at in range(most - 1)}
    await engine.upsert(collection, [Record("a", COSINE.vector(1, 0, 0, 0), None, full)])

    with pytest.raises(ServiceError) as refused:
        await engine.merge_metadata(collection, "a", {"more": quarter})
    assert (refused.value.code, "4,194,304" in refused.value.detail) == (MetadataTooLarge.code, True)
    await engine.merge_metadata(collection, "a", {"more": quarter, "k0": None})

    found = await engine.find(collection, "a")
    assert found is not None
    assert found.metadata == {key: value for key, value in full.items() if key != "k0"} | {"more": quarter}
