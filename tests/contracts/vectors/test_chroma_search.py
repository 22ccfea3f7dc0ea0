"""What a search of ChromaDB does beyond what all engines do: among more than it compares, and while others write."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from local.suite import Suite
from services.vectors.adapters.chroma import ChromaEngine
from services.vectors.adapters.chroma_api import ChromaApi
from services.vectors.adapters.chroma_metadata import where_of
from services.vectors.adapters.chroma_search import ChromaSearch
from services.vectors.domain import Collection, EngineName, Metric, Record, Vector, ranked
from services.vectors.records.filters import parse
from tests.contracts.vectors.conftest import COSINE, DOT, a_collection
from tests.contracts.vectors.language import leaf

IN = leaf("in", "eq", True)


@pytest.fixture
async def chroma(suite: Suite) -> AsyncIterator[tuple[ChromaEngine, ChromaApi]]:
    suite.up(["chromadb"])
    url, tenant = suite.url("chromadb"), suite.environment("vectors").get("CHROMADB_TENANT")
    engine, api = ChromaEngine(url, 30, tenant), ChromaApi(url, 30, tenant)
    yield engine, api
    await engine.aclose()
    await api.aclose()


async def filled(engine: ChromaEngine, number: int, dimension: int = 24) -> tuple[Collection, list[Record]]:
    generator = np.random.default_rng(13)
    collection = a_collection(dimension, engine=EngineName.CHROMA)
    await engine.create_collection(collection)
    records = [
        COSINE.record(f"{at:04}", *generator.normal(size=dimension), **dict[str, Any]({"in": at % 2 == 0}))
        for at in range(number)
    ]
    await engine.upsert(collection, records)
    return collection, records


@pytest.mark.parametrize("condition", [None, IN], ids=["all", "some"])
async def test_among_more_than_are_compared_the_graph_finds_nearly_all(
    chroma: tuple[ChromaEngine, ChromaApi], condition: dict[str, object] | None
) -> None:
    engine, api = chroma
    collection, records = await filled(engine, 1000)
    chroma_id, _ = await api.collection(f"sutazai-{collection.id}")
    among = [record for record in records if condition is None or record.metadata["in"]]
    where = where_of(parse(condition)) if condition else None
    shares = []
    for query in (record.vector for record in records[:20]):
        search = ChromaSearch(api, chroma_id, Metric.COSINE, query, where, exact_up_to=100)
        found = ranked(await search.nearest(10))
        assert len(found) == 10
        shares.append(len({match.id for match in found} & set(nearest(query, among, 10))) / 10)

    assert sum(shares) / len(shares) > 0.95
    await engine.drop_collection(collection)


def nearest(query: Vector, records: list[Record], k: int) -> list[str]:
    return sorted((one.id for one in records), key={one.id: -float(one.vector @ query) for one in records}.__getitem__)[
        :k
    ]


async def test_what_is_written_meanwhile_spoils_no_search(chroma: tuple[ChromaEngine, ChromaApi]) -> None:
    """Records go, come back, and leave the filter: a search meets those that stay, and none that the filter refuses."""
    engine, _ = chroma
    collection, records = await filled(engine, 400)
    staying = {record.id for record in records[:100] if record.metadata["in"]}

    async def write() -> None:
        for start in (100, 200, 300) * 2:
            some = records[start : start + 100]
            await engine.delete(collection, [record.id for record in some[:50]])
            out = [Record(one.id, one.vector, None, {"in": False}) for one in some[50:]]
            await engine.upsert(collection, out)
            await engine.upsert(collection, some)

    writing = asyncio.create_task(write())
    searches = 0
    try:
        while not writing.done() or not searches:
            found = await engine.search(collection, records[0].vector, 400, parse(IN))
            assert {match.id for match in found} >= staying
            assert all(match.metadata["in"] for match in found)
            searches += 1
        await writing
    finally:
        writing.cancel()
    assert len(await engine.search(collection, records[0].vector, 400, parse(IN))) == 200
    await engine.drop_collection(collection)


async def test_small_products_keep_their_order(chroma: tuple[ChromaEngine, ChromaApi]) -> None:
    """ChromaDB says one less the product: of a millionth little is left then."""
    engine, _ = chroma
    collection = a_collection(2, Metric.DOT, EngineName.CHROMA)
    await engine.create_collection(collection)
    await engine.upsert(collection, [DOT.record(f"{at:03}", at * 1e-9, 0) for at in range(200)])

    found = ranked(await engine.search(collection, DOT.vector(1, 0), 200, None))

    assert [match.id for match in found] == [f"{at:03}" for at in reversed(range(200))]
    assert [match.score for match in found] == pytest.approx([at * 1e-9 for at in reversed(range(200))], rel=1e-5)
    await engine.drop_collection(collection)
