"""Large collections of FAISS are searched by a graph, which is made beside everything else and changes no promise."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from services.vectors.adapters.faiss_graph import Graph
from services.vectors.domain import Record
from services.vectors.records.filters import parse
from tests.contracts.vectors.conftest import COSINE, a_collection
from tests.contracts.vectors.graphs import (
    COUNT,
    DIMENSION,
    Matrix,
    Open,
    a_vector,
    begun,
    engines,
    filled,
    graphed,
    is_done,
    nearest,
    recall,
    records,
    serves,
    under_way,
    until,
)
from tests.contracts.vectors.language import leaf


@pytest.fixture
async def open_engine(tmp_path: Path) -> AsyncIterator[Open]:
    async with engines(tmp_path) as open_one:
        yield open_one


async def test_a_collection_that_is_searched_gets_a_graph_and_finds_what_it_found(open_engine: Open) -> None:
    engine = open_engine()
    collection = await filled(engine)
    assert is_done(engine, collection)

    await graphed(engine, collection)

    assert await recall(engine, collection, range(10_000, 10_050)) >= 0.95
    for at in (5, 1005, 2005):
        assert (await nearest(engine, collection, at))[0].id == f"{at:05}"


@pytest.mark.parametrize("condition", [leaf("half", "eq", 1), leaf("hundredth", "eq", 7), leaf("hundredth", "lt", 90)])
async def test_a_filter_is_met_and_misses_no_more(open_engine: Open, condition: dict[str, object]) -> None:
    engine = open_engine()
    collection = await filled(engine)
    await graphed(engine, collection)

    shares = []
    for at in range(10_000, 10_030):
        found, truth = [
            await engine.search(collection, a_vector(at), 10, parse(condition), exact=exact) for exact in (False, True)
        ]
        shares.append(len({match.id for match in found} & {match.id for match in truth}) / len(truth))

    assert np.mean(shares) >= 0.95


async def test_what_is_written_while_it_is_made_and_after_is_found_at_once(open_engine: Open) -> None:
    engine = open_engine()
    collection = await filled(engine)
    async with under_way(engine, collection) as goes_on:
        for at in range(3000, 3200):
            await engine.upsert(collection, records(range(at, at + 1)))
            assert (await nearest(engine, collection, at))[0].id == f"{at:05}"
            if at % 2:
                await engine.delete(collection, [f"{at:05}"])
                assert f"{at:05}" not in [match.id for match in await nearest(engine, collection, at)]
            if at == 3100:
                goes_on()
        await until(engine, collection, serves)

    assert await recall(engine, collection, range(3000, 3050)) >= 0.95
    assert await engine.count(collection) == COUNT + 100


async def test_what_leaves_memory_takes_its_graph_along(open_engine: Open) -> None:
    engine = open_engine(idle_seconds=1e-6)
    collection = await filled(engine)
    async with under_way(engine, collection):
        await engine.close_idle()
        assert engine._collections.nbytes == 0
    await until(engine, collection, is_done)

    assert engine._collections.nbytes == 0
    assert (await nearest(engine, collection, 5))[0].id == "00005"
    await graphed(engine, collection)
    await engine.close_idle()
    assert engine._collections.nbytes == 0
    assert (await nearest(engine, collection, 6))[0].id == "00006"


async def test_what_is_dropped_while_it_is_made_stays_gone(open_engine: Open) -> None:
    engine = open_engine()
    collection = await filled(engine)
    async with under_way(engine, collection):
        await engine.drop_collection(collection)
    await until(engine, collection, is_done)

    assert not await engine.holds(collection)
    assert engine._collections.nbytes == 0


async def test_a_shutdown_waits_for_no_graph(open_engine: Open) -> None:
    engine = open_engine()
    collection = await filled(engine)
    async with under_way(engine, collection) as goes_on:
        made = engine._collections.opened(collection.id)
        assert made is not None
        closing = asyncio.create_task(engine.aclose())
        await asyncio.sleep(0)
        goes_on()
        await closing

    assert not made.index.growth.serves
    engine._graphs.begin(collection.id)  # by a search that has just ended
    assert is_done(engine, collection)
    opened = open_engine()
    assert (await nearest(opened, collection, 5))[0].id == "00005"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("of FAISS")])
async def test_where_none_can_be_made_all_are_compared(
    open_engine: Open, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_engine()
    collection = await filled(engine)

    with mock.patch.object(Graph, "add", side_effect=error), caplog.at_level(logging.WARNING, "vectors.faiss"):
        await begun(engine, collection)
        await until(engine, collection, lambda *_: bool(caplog.records))
        await until(engine, collection, is_done)
        await begun(engine, collection)

    assert len(caplog.records) == 1  # nobody tries again at once
    assert not serves(engine, collection)
    assert await recall(engine, collection, range(10_000, 10_010)) == 1.0
    opened = engine._collections.opened(collection.id)
    assert opened is not None
    assert opened.nbytes == 4 * DIMENSION * COUNT


async def test_a_graph_takes_no_room_from_what_is_used(open_engine: Open) -> None:
    """Its collection and another are in memory, and nothing else has room there."""
    engine = open_engine(memory_bytes=300 * COUNT)  # each has 64 of them, and a graph 214
    first, second = await filled(engine), await filled(engine)

    async with engine._reading(second):
        await begun(engine, first)
        await until(engine, first, is_done)
        assert not serves(engine, first)

    async with asyncio.timeout(60):
        while not serves(
            engine, first
        ):  # what failed is tried again after a while, and who rests leaves after a moment
            await begun(engine, first)
            await until(engine, first, is_done)
    assert engine._collections.opened(second.id) is None


async def test_there_is_no_graph_that_has_no_room_even_alone(open_engine: Open) -> None:
    engine = open_engine(memory_bytes=250 * COUNT)
    collection = await filled(engine)

    await begun(engine, collection)
    await until(engine, collection, is_done)

    assert not serves(engine, collection)
    assert engine._collections.nbytes == 4 * DIMENSION * COUNT
    assert await recall(engine, collection, range(10_000, 10_010)) == 1.0


async def test_a_graph_has_all_its_room_from_the_beginning(open_engine: Open) -> None:
    engine = open_engine()
    collection = await filled(engine)

    async with under_way(engine, collection):
        assert engine._collections.nbytes == (4 * DIMENSION + 214) * COUNT
    await until(engine, collection, serves)

    assert engine._collections.nbytes == (4 * DIMENSION + 214) * COUNT


async def test_vectors_that_are_like_nothing_are_searched_with_more_effort(open_engine: Open) -> None:
    """Without subjects everything is about as far away as everything else."""
    engine = open_engine()
    collection = a_collection(64)
    await engine.create_collection(collection)
    random = np.random.default_rng(5)
    stored = [COSINE.vector(*random.normal(size=64)) for _ in range(8000)]
    for start in range(0, 8000, 1000):
        some = range(start, start + 1000)
        await engine.upsert(collection, [Record(str(at), stored[at]) for at in some])
    asked = [COSINE.vector(*random.normal(size=64)) for _ in range(60)]
    await asyncio.gather(*(engine.search(collection, vector, 10, None) for vector in asked))
    await until(engine, collection, serves)

    shares = []
    for vector in asked:
        found, truth = [await engine.search(collection, vector, 10, None, exact=exact) for exact in (False, True)]
        shares.append(len({match.id for match in found} & {match.id for match in truth}) / 10)

    opened = engine._collections.opened(collection.id)
    assert opened is not None
    graph = opened.index.growth._serving
    assert graph is not None
    assert graph.effort > graph.efforts[0]
    assert np.mean(shares) >= 0.95


async def test_two_graphs_are_made_one_after_the_other(open_engine: Open) -> None:
    engine = open_engine()
    made = [await filled(engine, 1000) for _ in range(3)]
    added: list[Graph] = []
    add = Graph.add

    def noted(graph: Graph, vectors: Matrix) -> None:
        added.append(graph)
        add(graph, vectors)

    with mock.patch.object(Graph, "add", noted):
        async with under_way(engine, made[0]):
            for collection in made[1:]:
                await begun(engine, collection)
            assert len(engine._graphs._building) == 3
        for collection in made:
            await until(engine, collection, serves)

    assert len(list(itertools.groupby(added, id))) == 3

    for collection in made:
        assert await recall(engine, collection, range(10_000, 10_010)) >= 0.9


async def test_one_that_finds_too_little_never_serves_until_much_is_new(
    open_engine: Open, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_engine()
    collection = await filled(engine)

    with mock.patch.object(Graph, "recall", return_value=0.89), caplog.at_level(logging.WARNING, "vectors.faiss"):
        await begun(engine, collection)
        await until(engine, collection, is_done)
        assert not serves(engine, collection)
        for _ in range(20):
            await begun(engine, collection)
        await engine.upsert(collection, records(range(COUNT // 3 - 1)))
        await begun(engine, collection)
        assert is_done(engine, collection)
    assert [record.message for record in caplog.records] == ["a graph finds too little: all are compared"]
    assert await recall(engine, collection, range(10_000, 10_010)) == 1.0

    await engine.upsert(collection, records(range(1)))
    await graphed(engine, collection)


async def test_few_trials_change_no_effort(open_engine: Open) -> None:
    """Of a graph that takes in some that were written since."""
    engine = open_engine()
    collection = await filled(engine)
    with mock.patch.object(Graph, "recall", return_value=0.95):  # so it takes most
        await graphed(engine, collection)
    opened = engine._collections.opened(collection.id)
    assert opened is not None
    first = opened.index.growth._serving
    assert first is not None
    assert first.effort == first.efforts[-1]

    await engine.upsert(collection, records(range(COUNT, COUNT + 30)))
    engine._graphs.begin(collection.id)
    await until(engine, collection, serves)

    second = opened.index.growth._serving
    assert second is not None
    assert second is not first
    assert second.effort == first.effort
    assert opened.index.growth.waits == 0
