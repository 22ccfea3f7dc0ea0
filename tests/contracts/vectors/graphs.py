"""FAISS with collections that are large enough for a graph, and whoever waits for one."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from services.vectors.adapters.faiss import FaissEngine
from services.vectors.adapters.faiss_graph import Graph
from services.vectors.domain import Collection, Match, Record, Vector, ranked
from tests.contracts.vectors.conftest import COSINE, a_collection
from tests.fixtures.patience import PATIENCE_SECONDS

DIMENSION, COUNT, FEW = 16, 3_000, 50
Open = Callable[..., FaissEngine]
Matrix = NDArray[np.float32]


@asynccontextmanager
async def engines(folder: Path) -> AsyncIterator[Open]:
    """Again and again on the same files, but one at a time."""
    opened: list[FaissEngine] = []

    def open_one(**settings: Any) -> FaissEngine:
        engine = FaissEngine(folder, threads=2, max_bytes=2**26, graph_from=FEW, **settings)
        opened.append(engine)
        return engine

    yield open_one
    for engine in opened:
        await engine.aclose()


def a_vector(at: int) -> Vector:
    about, itself = np.random.default_rng(at % 97), np.random.default_rng(1000 + at)
    return COSINE.vector(*(about.normal(size=DIMENSION) + 0.5 * itself.normal(size=DIMENSION)))


def records(of: range) -> list[Record]:
    return [Record(f"{at:05}", a_vector(at), metadata={"half": at % 2, "hundredth": at % 100}) for at in of]


async def filled(engine: FaissEngine, count: int = COUNT, of: Collection | None = None) -> Collection:
    collection = of or a_collection(DIMENSION)
    await engine.create_collection(collection)
    for start in range(0, count, 1000):
        await engine.upsert(collection, records(range(start, min(start + 1000, count))))
    return collection


async def nearest(engine: FaissEngine, collection: Collection, at: int, *, exact: bool = False) -> list[Match]:
    return ranked(await engine.search(collection, a_vector(at), 10, None, exact=exact))


async def begun(engine: FaissEngine, collection: Collection) -> None:
    """It has been searched so often that a graph is worth its while."""
    await asyncio.gather(*(nearest(engine, collection, at) for at in range(64)))


async def until(engine: FaissEngine, collection: Collection, is_so: Callable[[FaissEngine, Collection], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so(engine, collection):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)


def serves(engine: FaissEngine, collection: Collection) -> bool:
    opened = engine._collections.opened(collection.id)
    return opened is not None and opened.index.growth.serves and not engine._graphs._building


async def graphed(engine: FaissEngine, collection: Collection) -> None:
    """It is searched by a graph."""
    await begun(engine, collection)
    await until(engine, collection, serves)


def is_done(engine: FaissEngine, _: Collection) -> bool:
    return not engine._graphs._building


@asynccontextmanager
async def under_way(engine: FaissEngine, collection: Collection) -> AsyncIterator[Callable[[], None]]:
    """Its graph has some of it, and gets no more until what is yielded is called, or the block ends."""
    gate, is_there, add = threading.Event(), asyncio.Event(), Graph.add
    loop = asyncio.get_running_loop()

    def held(graph: Graph, vectors: Matrix) -> None:
        add(graph, vectors)
        loop.call_soon_threadsafe(is_there.set)
        gate.wait()

    with mock.patch.object(Graph, "add", held):
        try:
            await begun(engine, collection)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await is_there.wait()
            yield gate.set
        finally:
            gate.set()


async def recall(engine: FaissEngine, collection: Collection, seeds: range) -> float:
    shares = []
    for at in seeds:
        found, truth = await nearest(engine, collection, at), await nearest(engine, collection, at, exact=True)
        assert len(found) == len(truth)
        shares.append(len({match.id for match in found} & {match.id for match in truth}) / len(truth))
    return float(np.mean(shares))
