"""Collections that nobody uses leave memory, and come back with all they had: those of FAISS and of Qdrant Edge."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from services.vectors.adapters.faiss import FaissEngine
from services.vectors.adapters.qdrant_edge import QdrantEdgeEngine
from services.vectors.domain import Collection
from services.vectors.ports import VectorEngine
from shared.texts import asked_of
from tests.contracts.vectors.conftest import COSINE, a_collection
from tests.fixtures.patience import PATIENCE_SECONDS

Unloading = FaissEngine | QdrantEdgeEngine
Open = Callable[..., Unloading]
_OPEN: dict[str, Open] = {
    "faiss": lambda directory, **settings: FaissEngine(directory, threads=2, max_bytes=2**26, **settings),
    "edge": lambda directory, **settings: QdrantEdgeEngine(directory, 30, **settings),
}


@pytest.fixture(params=list(_OPEN))
async def open_engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    opened: list[Unloading] = []

    def open_one(**settings: float) -> Unloading:
        opened.append(_OPEN[request.param](tmp_path, **settings))
        return opened[-1]

    yield open_one
    for engine in opened:
        await engine.aclose()


async def in_memory(engine: Unloading) -> int:
    """How many collections are."""
    if isinstance(engine, FaissEngine):
        return engine._collections.number
    answer, _ = await engine._edge.call({"do": "close_idle", "seconds": 1e9})
    return int(answer["open"])


async def until_none(engine: Unloading) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await in_memory(engine):
            await engine.close_idle()
            await asyncio.sleep(0.01)


async def filled(engine: VectorEngine, number: int, records: int = 20) -> list[Collection]:
    made = [a_collection(engine=engine.name) for _ in range(number)]
    for collection in made:
        await engine.create_collection(collection)
        await engine.upsert(
            collection, [COSINE.record(f"{at}", 1, at, 0, 0, text=f"word{at}", n=at) for at in range(records)]
        )
    return made


async def test_what_was_unloaded_is_found_searched_and_written_as_before(open_engine: Open) -> None:
    engine = open_engine(idle_seconds=0.05)
    (collection,) = await filled(engine, 1)
    await until_none(engine)

    (match,) = await engine.search(collection, COSINE.vector(1, 19, 0, 0), 1, None)
    assert (match.id, match.metadata) == ("19", {"n": 19})
    await until_none(engine)
    (match,) = await engine.search_words(collection, asked_of("word7"), 5, None)
    assert match.id == "7"
    await until_none(engine)
    await engine.upsert(collection, [COSINE.record("new", 0, 0, 0, 1)])
    await until_none(engine)
    assert await engine.count(collection) == 21


async def test_only_so_many_bytes_are_in_memory(open_engine: Open) -> None:
    """Twenty vectors of four numbers are 320 bytes."""
    engine = open_engine(memory_bytes=1000)
    made = await filled(engine, 5)

    for collection in made:
        assert (await engine.search(collection, COSINE.vector(1, 5, 0, 0), 1, None))[0].id == "5"

    assert await in_memory(engine) == 3
    assert await asyncio.gather(*(engine.count(collection) for collection in made)) == [20] * 5


async def test_searches_and_writes_go_on_through_unloading(open_engine: Open) -> None:
    """Everything leaves as soon as nobody uses it, and there is room for one of the three."""
    engine = open_engine(idle_seconds=1e-6, memory_bytes=400)
    made = await filled(engine, 3)
    over = asyncio.Event()

    async def unload() -> None:
        while not over.is_set():
            await engine.close_idle()
            await asyncio.sleep(0)

    async def write_and_find(collection: Collection, at: int) -> None:
        for number in range(8):
            key = f"{at}-{number}"
            await engine.upsert(collection, [COSINE.record(key, 0, 0, 1 + at, 1 + number)])
            found = await engine.search(collection, COSINE.vector(0, 0, 1 + at, 1 + number), 4, None)
            assert any(match.id == key or match.score > 0.9999 for match in found)
            assert await engine.find(collection, key) is not None

    unloading = asyncio.create_task(unload())
    await asyncio.gather(*(write_and_find(collection, at) for at in range(2) for collection in made))
    over.set()
    await unloading

    assert [await engine.count(collection) for collection in made] == [36] * 3


async def test_what_is_dropped_while_it_is_unloaded_stays_gone(open_engine: Open) -> None:
    engine = open_engine(idle_seconds=1e-6)
    (collection,) = await filled(engine, 1)

    await asyncio.gather(engine.close_idle(), engine.drop_collection(collection), engine.close_idle())

    assert not await engine.holds(collection)
    assert await in_memory(engine) == 0


async def test_edge_is_not_started_to_close_what_it_never_opened(tmp_path: Path) -> None:
    engine = QdrantEdgeEngine(tmp_path, 30, idle_seconds=1)

    await engine.close_idle()

    assert not engine._edge.runs
    await engine.aclose()
