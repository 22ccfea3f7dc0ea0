"""Every engine under one suite: FAISS and Edge, here and on a node, ChromaDB, and Qdrant with and without a server."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from local.suite import Suite
from services.vectors.adapters import faiss, qdrant_edge
from services.vectors.adapters.catalogue_former import AdoptingCatalogue
from services.vectors.adapters.catalogue_sqlite import SqliteCatalogue
from services.vectors.adapters.chroma import ChromaEngine
from services.vectors.adapters.faiss import FaissEngine
from services.vectors.adapters.node_catalogue import NodeCatalogue
from services.vectors.adapters.node_connection import NodeConnection
from services.vectors.adapters.node_engine import NodeEngine
from services.vectors.adapters.qdrant_connection import QdrantConnection
from services.vectors.adapters.qdrant_edge import QdrantEdgeEngine
from services.vectors.adapters.qdrant_server import QdrantServerEngine
from services.vectors.domain import Capabilities, Collection, EngineName, Metric, Record, Vector
from services.vectors.geometry import placed
from services.vectors.ports import Catalogue, VectorEngine
from shared.schemas import new_id
from tests.contracts.vectors.qdrant_server import GRPC_PORT, free_host
from tests.fixtures.node import connected, open_node
from tests.fixtures.stores import given_stores

GIVEN = given_stores(os.environ)
ENGINES = [
    "faiss",
    "edge",
    "faiss-node",
    "edge-node",
    "chroma",
    "qdrant-client",
    *(["qdrant-server"] if "QDRANT_URL" in GIVEN else []),
]


KEPT_BY_NODE = {
    "faiss-node": (EngineName.FAISS, faiss.CAPABILITIES),
    "edge-node": (EngineName.QDRANT, qdrant_edge.CAPABILITIES),
}


class ListedEngine(NodeEngine):
    """The node makes nothing that is not in its catalogue, where the service puts a collection first."""

    def __init__(self, node: NodeConnection, name: EngineName, can: Capabilities) -> None:
        super().__init__(name, node, can)
        self._catalogue = NodeCatalogue(node)

    async def create_collection(self, collection: Collection) -> None:
        await self._catalogue.insert(collection)
        await super().create_collection(collection)


@pytest.fixture(scope="session", params=ENGINES)
async def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[VectorEngine]:
    """Each engine in turn, empty but for what other tests keep under other collections."""
    directory: Path = tmp_path_factory.mktemp("engine")
    match request.param:
        case "faiss":
            opened: VectorEngine = FaissEngine(directory, threads=2, max_bytes=2**26)
        case "edge":
            opened = QdrantEdgeEngine(directory, timeout_seconds=30)
        case "faiss-node" | "edge-node" as kind:
            suite: Suite = request.getfixturevalue("suite")
            suite.up(["auth"])
            # What an engine does is asked here, not how fast: with the limit of a request and not that of a call.
            async with open_node(suite, directory) as node, connected(suite, node, seconds=58) as connection:
                yield ListedEngine(connection, *KEPT_BY_NODE[kind])
            return
        case "chroma":
            suite = request.getfixturevalue("suite")
            suite.up(["chromadb"])
            opened = ChromaEngine(suite.url("chromadb"), 30, suite.environment("vectors").get("CHROMADB_TENANT"))
        case kind:
            qdrant = given_qdrant() if kind == "qdrant-server" else QdrantConnection(None)
            opened = QdrantServerEngine(qdrant)
            yield opened
            await qdrant.aclose()
            return
    yield opened
    await opened.aclose()


def given_qdrant() -> QdrantConnection:
    """To the server that the environment names; to the client's imitation of one where it names none."""
    return QdrantConnection(GIVEN.get("QDRANT_URL"), GIVEN.get("QDRANT_API_KEY"))


def a_collection(
    dimension: int = 4, metric: Metric = Metric.COSINE, engine: EngineName = EngineName.FAISS
) -> Collection:
    return Collection(
        id=new_id(),
        tenant_id=new_id(),
        name="things",
        engine=engine,
        dimension=dimension,
        metric=metric,
        created_at=datetime.now(UTC),
    )


NewCollection = Callable[..., Awaitable[Collection]]


@pytest.fixture
async def new_collection(engine: VectorEngine) -> AsyncIterator[NewCollection]:
    """Makes collections that are gone after the test."""
    made: list[Collection] = []

    async def make(dimension: int = 4, metric: Metric = Metric.COSINE) -> Collection:
        collection = a_collection(dimension, metric, engine.name)
        await engine.create_collection(collection)
        made.append(collection)
        return collection

    yield make
    for collection in made:
        await engine.drop_collection(collection)


@dataclass(frozen=True)
class Space:
    """Vectors as the service would hand them to an engine."""

    metric: Metric

    def vector(self, *numbers: float) -> Vector:
        return placed(np.array(numbers, dtype=np.float32), self.metric, "/vector")

    def record(self, record_id: str, *numbers: float, text: str | None = None, **metadata: Any) -> Record:
        return Record(record_id, self.vector(*numbers), text, metadata)


COSINE, DOT, L2 = (Space(metric) for metric in Metric)


FORMER = f"sutazai-test-{new_id()}"  # a server may have a list that is no test's


@pytest.fixture
async def qdrant() -> AsyncIterator[QdrantConnection]:
    """With nothing of an earlier version."""
    connection = given_qdrant()
    yield connection
    if await connection.run(lambda client, _: client.collection_exists(FORMER)):
        await connection.run(lambda client, _: client.delete_collection(FORMER))
    await connection.aclose()


@pytest.fixture
async def no_qdrant() -> AsyncIterator[QdrantConnection]:
    connection = QdrantConnection(f"http://{free_host()}:{GRPC_PORT}")
    yield connection
    await connection.aclose()


@pytest.fixture(params=["of its own", "beside Qdrant", "beside no Qdrant", "on a node"])
async def catalogue(
    request: pytest.FixtureRequest, tmp_path: Path, qdrant: QdrantConnection, no_qdrant: QdrantConnection
) -> AsyncIterator[Catalogue]:
    if request.param == "on a node":
        suite: Suite = request.getfixturevalue("suite")
        suite.up(["auth"])
        async with open_node(suite, tmp_path) as node, connected(suite, node) as connection:
            yield NodeCatalogue(connection)
        return
    open_catalogue: dict[str, Callable[[Path], SqliteCatalogue]] = {
        "of its own": SqliteCatalogue,
        "beside Qdrant": lambda path: AdoptingCatalogue(path, qdrant, FORMER),
        "beside no Qdrant": lambda path: AdoptingCatalogue(path, no_qdrant, FORMER),
    }
    opened = open_catalogue[request.param](tmp_path / "catalogue.db")
    if request.param == "beside Qdrant":
        assert isinstance(opened, AdoptingCatalogue)
        await opened.adopt()
    yield opened
    await opened.aclose()
