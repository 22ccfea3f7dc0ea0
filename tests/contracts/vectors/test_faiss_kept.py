"""A graph is kept in a file: what comes back into memory has it at once, and a file that is of no use harms nobody."""

import asyncio
import logging
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from services.vectors.adapters import faiss_kept
from services.vectors.adapters.faiss import FaissEngine
from services.vectors.adapters.faiss_graph import Graph
from services.vectors.adapters.faiss_records import graph_of, unfinished
from services.vectors.domain import Collection
from services.vectors.records.filters import parse
from shared.schemas import new_id
from tests.contracts.vectors.conftest import a_collection
from tests.contracts.vectors.graph_victim import POINTS
from tests.contracts.vectors.graphs import (
    COUNT,
    Open,
    begun,
    engines,
    filled,
    graphed,
    is_done,
    nearest,
    recall,
    records,
    serves,
    until,
)
from tests.contracts.vectors.language import leaf


@pytest.fixture
async def open_engine(tmp_path: Path) -> AsyncIterator[Open]:
    async with engines(tmp_path) as open_one:
        yield open_one


async def kept(open_engine: Open) -> Collection:
    """A collection whose graph is in a file, and none of it in memory."""
    engine = open_engine()
    collection = await filled(engine)
    await graphed(engine, collection)
    await engine.aclose()
    return collection


def file_of(folder: Path, collection: Collection) -> Path:
    return graph_of(folder / f"{collection.id}.db")


def is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())


def waiting(engine: FaissEngine, collection: Collection) -> int:
    opened = engine._collections.opened(collection.id)
    assert opened is not None
    return opened.index.growth.waits


async def test_after_a_restart_the_first_search_brings_the_graph_back(open_engine: Open) -> None:
    collection = await kept(open_engine)
    engine = open_engine()

    with mock.patch.object(Graph, "add", side_effect=AssertionError):  # nothing is made anew
        await nearest(engine, collection, 10_000)
        await until(engine, collection, serves)

    assert waiting(engine, collection) == 0
    assert await recall(engine, collection, range(10_000, 10_050)) >= 0.95


async def test_what_left_memory_comes_back_with_its_graph(open_engine: Open) -> None:
    engine = open_engine(idle_seconds=1e-6)
    collection = await filled(engine)
    await graphed(engine, collection)
    size = engine._collections.nbytes
    await engine.close_idle()
    assert engine._collections.nbytes == 0

    with mock.patch.object(Graph, "add", side_effect=AssertionError):
        await nearest(engine, collection, 5)
        await until(engine, collection, serves)

    assert engine._collections.nbytes == size


async def test_what_was_written_since_it_was_kept_waits_and_what_is_gone_is_not_found(open_engine: Open) -> None:
    engine = open_engine()
    collection = await filled(engine)
    await graphed(engine, collection)
    with mock.patch.object(Graph, "write", side_effect=AssertionError):
        await engine.upsert(collection, records(range(COUNT, COUNT + 100)))
        await engine.delete_matching(collection, parse(leaf("hundredth", "lt", 20)))
        moved = [replace(one, vector=records(range(9000 + at, 9001 + at))[0].vector) for at, one in enumerate(MOVED)]
        await engine.upsert(collection, moved)
    await engine.aclose()

    again = open_engine()
    await nearest(again, collection, 5)
    await until(again, collection, serves)

    assert waiting(again, collection) == 80 + len(MOVED)
    assert await recall(again, collection, range(10_000, 10_050)) >= 0.95
    for at, one in enumerate(MOVED):
        assert (await nearest(again, collection, 9000 + at))[0].id == one.id
    for at in range(100, 120):
        assert f"{at:05}" not in [match.id for match in await nearest(again, collection, at)]


MOVED = records(range(50, 60))


@pytest.mark.parametrize("point", POINTS)
async def test_whoever_is_killed_while_it_is_kept_loses_nothing(
    open_engine: Open, tmp_path: Path, point: str, caplog: pytest.LogCaptureFixture
) -> None:
    collection = replace(a_collection(16), id=new_id())
    victim = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.contracts.vectors.graph_victim", str(tmp_path), collection.id, point)
    )
    async with asyncio.timeout(60):
        assert await victim.wait() == -signal.SIGKILL
    file = file_of(tmp_path, collection)
    assert unfinished(file).exists() == (point in POINTS[:2])
    assert file.exists() == (point in POINTS[2:])

    engine = open_engine()
    await nearest(engine, collection, 10_000)
    if not file.exists():
        await until(engine, collection, is_done)
        assert not serves(engine, collection)
        await begun(engine, collection)
    await until(engine, collection, serves)

    assert waiting(engine, collection) == (180 if point == POINTS[3] else 0)
    assert await engine.count(collection) == (COUNT * 9 // 10 + 180 if point == POINTS[3] else COUNT)
    assert await recall(engine, collection, range(10_000, 10_050)) >= 0.95
    assert not unfinished(file).exists()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def bent(file: Path) -> None:
    """A link leads out of the graph, for instance."""
    content = bytearray(file.read_bytes())
    content[-len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("harmed", [cut, bent, empty])
async def test_a_file_that_is_not_what_was_written_is_never_read_by_faiss(
    open_engine: Open, tmp_path: Path, harmed: Callable[[Path], None]
) -> None:
    collection = await kept(open_engine)
    harmed(file_of(tmp_path, collection))
    engine = open_engine()

    with mock.patch.object(faiss_kept.faiss, "read_index", side_effect=AssertionError):
        await nearest(engine, collection, 10_000)
        await until(engine, collection, is_done)

    assert not serves(engine, collection)
    assert not file_of(tmp_path, collection).exists()
    await graphed(engine, collection)
    assert file_of(tmp_path, collection).exists()


async def test_one_of_another_faiss_is_made_anew(open_engine: Open, tmp_path: Path) -> None:
    collection = await kept(open_engine)
    engine = open_engine()

    with mock.patch.object(faiss_kept.faiss, "__version__", "1.0.0"):
        await nearest(engine, collection, 10_000)
        await until(engine, collection, is_done)

    assert not serves(engine, collection)
    assert not file_of(tmp_path, collection).exists()


async def test_one_that_finds_too_little_by_now_does_not_serve(open_engine: Open, tmp_path: Path) -> None:
    collection = await kept(open_engine)
    engine = open_engine()

    with mock.patch.object(Graph, "recall", return_value=0.94):
        await nearest(engine, collection, 10_000)
        await until(engine, collection, is_done)

    assert not serves(engine, collection)
    assert not file_of(tmp_path, collection).exists()


async def test_one_of_which_most_was_replaced_is_made_anew(open_engine: Open, tmp_path: Path) -> None:
    collection = await kept(open_engine)
    engine = open_engine()
    with mock.patch.object(engine._graphs, "begin"):
        for start in range(0, 2000, 1000):
            some = records(range(start, start + 1000))
            others = records(range(start + 20_000, start + 21_000))
            pairs = zip(some, others, strict=True)
            await engine.upsert(collection, [replace(one, vector=other.vector) for one, other in pairs])

    await nearest(engine, collection, 10_000)
    await until(engine, collection, is_done)

    assert not file_of(tmp_path, collection).exists()
    assert await recall(engine, collection, range(10_000, 10_010)) == 1.0


async def test_what_is_dropped_leaves_no_file(open_engine: Open, tmp_path: Path) -> None:
    engine = open_engine()
    collection = await filled(engine)
    await graphed(engine, collection)
    assert file_of(tmp_path, collection).exists()

    await engine.drop_collection(collection)

    assert is_empty(tmp_path)


async def test_what_is_dropped_while_its_graph_is_written_leaves_no_file(open_engine: Open, tmp_path: Path) -> None:
    engine = open_engine()
    collection = await filled(engine)
    write, loop = Graph.write, asyncio.get_running_loop()

    def dropped_then(graph: Graph, path: Path) -> None:
        asyncio.run_coroutine_threadsafe(engine.drop_collection(collection), loop).result(30)
        write(graph, path)

    with mock.patch.object(Graph, "write", dropped_then):
        await begun(engine, collection)
        await until(engine, collection, is_done)

    assert is_empty(tmp_path)


async def test_where_the_disk_takes_no_more_the_graph_serves_all_the_same(
    open_engine: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_engine()
    collection = await filled(engine)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    write = faiss_kept.write

    def limited(*given: Any) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, before[1]))
        try:
            write(*given)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    with mock.patch.object(faiss_kept, "write", limited), caplog.at_level(logging.WARNING, "vectors.faiss"):
        await graphed(engine, collection)

    assert [record.message for record in caplog.records] == ["a graph is not kept: it is made anew after a restart"]
    file = file_of(tmp_path, collection)
    assert not file.exists()
    assert not unfinished(file).exists()


async def test_a_disk_that_is_nearly_full_is_left_to_the_records(open_engine: Open, tmp_path: Path) -> None:
    engine = open_engine()
    collection = await filled(engine)

    with mock.patch("shutil.disk_usage", return_value=mock.Mock(free=100_000)):
        await graphed(engine, collection)

    assert not file_of(tmp_path, collection).exists()


async def test_what_is_kept_has_no_room_where_others_use_it(open_engine: Open) -> None:
    collection = await kept(open_engine)
    engine = open_engine(memory_bytes=100 * COUNT)

    assert (await nearest(engine, collection, 5))[0].id == "00005"
    await until(engine, collection, is_done)

    assert not serves(engine, collection)
    assert engine._collections.nbytes == 64 * COUNT


async def test_it_is_written_anew_when_a_tenth_of_it_is_new(open_engine: Open, tmp_path: Path) -> None:
    engine = open_engine()
    collection = await filled(engine)
    await graphed(engine, collection)
    written = file_of(tmp_path, collection).stat()

    for number, is_written in ((100, False), (400, True)):
        count = await engine.count(collection)
        await engine.upsert(collection, records(range(count, count + number)))
        engine._graphs.begin(collection.id)
        await until(
            engine,
            collection,
            lambda engine, collection: serves(engine, collection) and not waiting(engine, collection),
        )
        assert (file_of(tmp_path, collection).stat().st_ino != written.st_ino) == is_written


async def test_of_equal_ones_it_leaves_out_as_many_as_before(open_engine: Open) -> None:
    engine = open_engine()
    collection = await filled(engine)
    alike = records(range(1))[0].vector
    await engine.upsert(collection, [replace(one, vector=alike) for one in records(range(COUNT, COUNT + 300))])
    await graphed(engine, collection)
    left_out = waiting(engine, collection)
    assert 280 <= left_out <= 300
    await engine.aclose()

    again = open_engine()
    await nearest(again, collection, 10_000)
    await until(again, collection, serves)

    assert waiting(again, collection) == left_out
    await begun(again, collection)
    assert is_done(again, collection)  # no other is wanted for them
