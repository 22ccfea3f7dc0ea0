"""Memory that runs out between a record's commit and its place in the index: what is searched stays what is kept."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from unittest import mock

import pytest

from services.vectors.adapters.faiss import FaissEngine
from services.vectors.adapters.faiss_index import SlotIndex
from services.vectors.domain import Vector
from shared.errors import Unavailable
from tests.contracts.vectors.conftest import COSINE, a_collection


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[FaissEngine]:
    opened = FaissEngine(tmp_path, threads=1, max_bytes=2**26)
    yield opened
    await opened.aclose()


_put = SlotIndex.put


def half_of(index: SlotIndex, slots: Sequence[int], vectors: Sequence[Vector]) -> None:
    """As far as memory goes."""
    _put(index, slots[:1], vectors[:1])
    raise MemoryError


async def test_a_store_that_memory_ran_out_on_is_there_whole(engine: FaissEngine) -> None:
    collection = a_collection()
    await engine.create_collection(collection)
    await engine.upsert(collection, [COSINE.record("old", 1, 0, 0, 0), COSINE.record("moved", 0, 0, 1, 0)])
    broken = [COSINE.record("new", 0, 1, 0, 0), COSINE.record("moved", 0, 0, 0, 1), COSINE.record("more", 0, 1, 1, 0)]

    with mock.patch.object(SlotIndex, "put", half_of), pytest.raises(Unavailable):
        await engine.upsert(collection, broken)

    for record in broken:
        (match,) = await engine.search(collection, record.vector, 1, None)
        assert (match.id, round(match.score, 6)) == (record.id, 1.0)
        assert await engine.find(collection, record.id) is not None
    assert await engine.count(collection) == len(await engine.search(collection, COSINE.vector(1, 1, 1, 1), 9, None))


async def test_what_memory_ran_out_on_deleting_is_found_by_nobody(engine: FaissEngine) -> None:
    collection = a_collection()
    await engine.create_collection(collection)
    await engine.upsert(collection, [COSINE.record("1", 1, 0, 0, 0), COSINE.record("2", 0, 1, 0, 0)])

    with mock.patch.object(SlotIndex, "clear", side_effect=MemoryError), pytest.raises(Unavailable):
        await engine.delete(collection, ["1"])

    assert [match.id for match in await engine.search(collection, COSINE.vector(1, 0, 0, 0), 5, None)] == ["2"]
    await engine.upsert(collection, [COSINE.record("3", 1, 0, 0, 0)])
    assert [match.id for match in await engine.search(collection, COSINE.vector(1, 0, 0, 0), 1, None)] == ["3"]


async def test_what_is_refused_before_the_file_costs_no_loading(engine: FaissEngine) -> None:
    collection = a_collection()
    await engine.create_collection(collection)
    await engine.upsert(collection, [COSINE.record("1", 1, 0, 0, 0)])
    kept = engine._collections.opened(collection.id)

    with mock.patch.object(SlotIndex, "spare", side_effect=MemoryError), pytest.raises(Unavailable):
        await engine.upsert(collection, [COSINE.record("2", 0, 1, 0, 0)])

    assert engine._collections.opened(collection.id) is kept
    assert await engine.find(collection, "2") is None
