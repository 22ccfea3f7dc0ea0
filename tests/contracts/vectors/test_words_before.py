"""Collections of before there was keyword search get their words: a file when it is opened, Qdrant's when asked."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import qdrant_edge as edge

from services.vectors.adapters.edge_shards import Shards
from services.vectors.adapters.faiss import FaissEngine
from services.vectors.adapters.faiss_words import WordIndex
from services.vectors.adapters.qdrant_connection import QdrantConnection
from services.vectors.adapters.qdrant_edge import QdrantEdgeEngine
from services.vectors.adapters.qdrant_payload import TEXT, physical_name
from services.vectors.adapters.qdrant_server import QdrantServerEngine
from services.vectors.domain import Collection
from services.vectors.errors import WordsMissing
from services.vectors.ports import VectorEngine
from shared.texts import asked_of
from tests.contracts.vectors.conftest import COSINE, a_collection, given_qdrant


def test_words_that_are_replaced_are_looked_for_together(tmp_path: Path) -> None:
    """Record by record it was asked a thousand times for what most of them never had."""
    file = sqlite3.connect(tmp_path / "words.db")
    file.execute("CREATE TABLE record (slot INTEGER PRIMARY KEY, text TEXT)")
    words, asked = WordIndex(file), list[str]()
    words.put([(7, "seven"), (8, "eight")])
    file.set_trace_callback(asked.append)

    words.forget(range(1000))

    assert len([one for one in asked if one.startswith("SELECT")]) == 2
    assert file.execute("SELECT count(*) FROM word").fetchone() == (0,)
    assert file.execute("SELECT count(*) FROM worded").fetchone() == (0,)
    file.close()


async def test_a_faiss_file_gets_the_words_of_its_texts(tmp_path: Path) -> None:
    collection = a_collection()
    engine = FaissEngine(tmp_path, threads=1, max_bytes=2**26)
    await engine.create_collection(collection)
    records = [COSINE.record(f"{at}", 1, at, 0, 0, text=f"text number {at}") for at in range(1200)]
    await engine.upsert(collection, [*records, COSINE.record("mute", 1, 0, 0, 0)])
    await engine.aclose()
    with closing(sqlite3.connect(tmp_path / f"{collection.id}.db")) as file:
        file.executescript("DROP TABLE word; DROP TABLE worded;")

    engine = FaissEngine(tmp_path, threads=1, max_bytes=2**26)
    (match,) = await engine.search_words(collection, asked_of("617"), 10, None)
    assert match.id == "617"
    await engine.upsert(collection, [COSINE.record("617", 1, 0, 0, 0, text="another")])
    assert await engine.search_words(collection, asked_of("617"), 10, None) == []
    assert len(await engine.search_words(collection, asked_of("number"), 2000, None)) == 1199
    await engine.aclose()


def wordless_shard(directory: Path, collection: Collection) -> None:
    vectors = edge.EdgeVectorParams(size=collection.dimension, distance=edge.Distance.Cosine)
    path = directory / physical_name(collection.id)
    path.mkdir()
    edge.EdgeShard.create(str(path), edge.EdgeConfig(vectors=vectors)).close()


async def wordless_server(connection: QdrantConnection, collection: Collection) -> None:
    await connection.run(
        lambda client, models: client.create_collection(
            physical_name(collection.id),
            vectors_config=models.VectorParams(size=collection.dimension, distance=models.Distance.COSINE),
        )
    )


@pytest.fixture(params=["edge", "qdrant"])
async def wordless(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[VectorEngine, Collection]]:
    """An engine and a collection that an earlier version made in it."""
    collection, connection = a_collection(), given_qdrant()
    if request.param == "edge":
        wordless_shard(tmp_path, collection)
        engine: VectorEngine = QdrantEdgeEngine(tmp_path, timeout_seconds=30)
    else:
        await wordless_server(connection, collection)
        engine = QdrantServerEngine(connection, settled_seconds=0.2)
    yield engine, collection
    await engine.drop_collection(collection)
    await engine.aclose()
    await connection.aclose()


async def until_worded(engine: VectorEngine, collection: Collection, query: str, limit: int = 2000) -> list[str]:
    """What the query finds once the collection has its words, which the first search begins."""
    async with asyncio.timeout(60):
        while True:
            try:
                found = await engine.search_words(collection, asked_of(query), limit, None)
            except WordsMissing:
                await asyncio.sleep(0.02)
            else:
                return [match.id for match in found]


async def test_a_qdrant_collection_says_that_it_has_no_words_yet_and_gets_them(
    wordless: tuple[VectorEngine, Collection],
) -> None:
    engine, collection = wordless
    records = [COSINE.record(f"{at}", 1, at, 0, 0, text=f"text number{at}", n=at) for at in range(100)]
    await engine.upsert(
        collection, [*records, COSINE.record("mute", 1, 0, 0, 0), COSINE.record("?", 1, 0, 0, 0, text="?")]
    )

    with pytest.raises(WordsMissing, match="'things'"):
        await engine.search_words(collection, asked_of("text"), 10, None)
    (match,) = await engine.search(collection, COSINE.vector(1, 3, 0, 0), 1, None)
    assert match.id == "3"

    assert await until_worded(engine, collection, "number61") == ["61"]
    assert len(await until_worded(engine, collection, "text")) == 100
    record = await engine.find(collection, "61")
    assert record is not None
    assert (record.text, record.metadata) == ("text number61", {"n": 61})
    assert record.vector.tolist() == pytest.approx(records[61].vector.tolist())


async def test_what_is_written_while_words_are_made_has_its_own(wordless: tuple[VectorEngine, Collection]) -> None:
    engine, collection = wordless
    await engine.upsert(
        collection, [COSINE.record(f"{at}", 1, at, 0, 0, text=f"former former{at}") for at in range(200)]
    )
    with pytest.raises(WordsMissing):
        await engine.search_words(collection, asked_of("former"), 10, None)

    for at in range(0, 200, 5):
        await engine.upsert(collection, [COSINE.record(f"{at}", 1, 0, 0, 0, text=f"later later{at}")])
        await engine.delete(collection, [f"{at + 1}"])
        await engine.insert(collection, [COSINE.record(f"new{at}", 1, 0, 0, 0, text="later")])

    assert len(await until_worded(engine, collection, "former")) == 120
    assert len(await until_worded(engine, collection, "later")) == 80
    assert await until_worded(engine, collection, "former5") == []
    assert await until_worded(engine, collection, "later5") == ["5"]


async def test_words_of_edge_go_on_where_a_killed_process_stopped(tmp_path: Path) -> None:
    """Its process is killed again and again; with each search some more have theirs."""
    collection = a_collection()
    wordless_shard(tmp_path, collection)
    engine = QdrantEdgeEngine(tmp_path, timeout_seconds=30)
    await engine.upsert(collection, [COSINE.record(f"{at}", 1, at, 0, 0, text=f"text number{at}") for at in range(600)])
    await engine.aclose()

    shards = Shards(tmp_path, most_bytes=2**30)
    after: str | None = None
    for _ in range(3):
        after = shards.get(physical_name(collection.id)).give_words(TEXT, after)
    shards.close()
    engine = QdrantEdgeEngine(tmp_path, timeout_seconds=30)
    with pytest.raises(WordsMissing):  # some have theirs, and not all
        await engine.search_words(collection, asked_of("text"), 10, None)
    await engine.aclose()

    engine = QdrantEdgeEngine(tmp_path, timeout_seconds=30)
    assert len(await until_worded(engine, collection, "text")) == 600
    await engine.aclose()
    engine = QdrantEdgeEngine(tmp_path, timeout_seconds=30)
    found = await engine.search_words(collection, asked_of("number599"), 10, None)
    assert [match.id for match in found] == ["599"]
    await engine.aclose()


async def test_a_collection_that_is_deleted_meanwhile_is_none(wordless: tuple[VectorEngine, Collection]) -> None:
    engine, collection = wordless
    await engine.upsert(collection, [COSINE.record(f"{at}", 1, at, 0, 0, text="text") for at in range(50)])
    with pytest.raises(WordsMissing):
        await engine.search_words(collection, asked_of("text"), 10, None)

    await engine.drop_collection(collection)

    assert not await engine.holds(collection)
