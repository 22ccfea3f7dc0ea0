"""Collections of before there was keyword search: a file gets its words, the others say that they have none."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import qdrant_edge as edge

from services.vectors.adapters.faiss import FaissEngine
from services.vectors.adapters.faiss_words import WordIndex
from services.vectors.adapters.qdrant_connection import QdrantConnection
from services.vectors.adapters.qdrant_edge import QdrantEdgeEngine
from services.vectors.adapters.qdrant_payload import physical_name
from services.vectors.adapters.qdrant_server import QdrantServerEngine
from services.vectors.domain import Collection
from services.vectors.errors import WordsMissing
from services.vectors.ports import VectorEngine
from services.vectors.words import asked_of
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
        engine = QdrantServerEngine(connection)
    yield engine, collection
    await engine.drop_collection(collection)
    await engine.aclose()
    await connection.aclose()


async def test_a_qdrant_collection_goes_on_by_vectors_and_says_that_it_has_no_words(
    wordless: tuple[VectorEngine, Collection],
) -> None:
    engine, collection = wordless
    await engine.upsert(collection, [COSINE.record("a", 1, 0, 0, 0, text="some words")])

    with pytest.raises(WordsMissing, match="'things'"):
        await engine.search_words(collection, asked_of("words"), 10, None)

    (match,) = await engine.search(collection, COSINE.vector(1, 0, 0, 0), 10, None)
    record = await engine.find(collection, "a")
    assert (match.id, match.text) == ("a", "some words")
    assert record is not None
    assert record.vector.tolist() == [1, 0, 0, 0]
