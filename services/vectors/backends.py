"""Opens the engines, the catalogue and the model that the settings name."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from services.vectors.adapters.catalogue_qdrant import QdrantCatalogue
from services.vectors.adapters.catalogue_sqlite import SqliteCatalogue
from services.vectors.adapters.chroma import ChromaEngine
from services.vectors.adapters.data_dir import owned
from services.vectors.adapters.embeddings_local import LocalEmbedder
from services.vectors.adapters.embeddings_remote import RemoteEmbedder
from services.vectors.adapters.faiss import FaissEngine
from services.vectors.adapters.qdrant_connection import QdrantConnection
from services.vectors.adapters.qdrant_edge import QdrantEdgeEngine
from services.vectors.adapters.qdrant_server import QdrantServerEngine
from services.vectors.domain import EngineName
from services.vectors.ports import Catalogue, Embedder, VectorEngine
from services.vectors.settings import Settings


@dataclass(frozen=True, slots=True)
class Backends:
    """Everything outside that the service works with."""

    engines: Mapping[EngineName, VectorEngine]
    catalogue: Catalogue
    embedder: Embedder


@asynccontextmanager
async def open_backends(settings: Settings) -> AsyncIterator[Backends]:
    """Nothing is asked yet: an engine that is down keeps the others from nothing. Raises DataDirInUse."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(owned(settings.data_dir))
        qdrant, catalogue = _open_qdrant(settings, stack)
        engines: list[VectorEngine] = [
            qdrant,
            ChromaEngine(settings.chromadb_url, settings.engine_timeout_seconds),
            FaissEngine(
                settings.data_dir / "faiss", threads=settings.faiss_threads, max_bytes=settings.faiss_max_bytes
            ),
        ]
        embedder = _open_embedder(settings)
        for engine in engines:
            stack.push_async_callback(engine.aclose)
        stack.push_async_callback(catalogue.aclose)
        stack.push_async_callback(embedder.aclose)
        yield Backends({engine.name: engine for engine in engines}, catalogue, embedder)


def _open_qdrant(settings: Settings, stack: AsyncExitStack) -> tuple[VectorEngine, Catalogue]:
    """The catalogue lies where all replicas see it: on the server, or beside the engines of the only one."""
    if settings.qdrant_url is None:
        engine = QdrantEdgeEngine(settings.data_dir / "qdrant", settings.engine_timeout_seconds)
        return engine, SqliteCatalogue(settings.data_dir / "catalogue.db")
    api_key = settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None
    connection = QdrantConnection(settings.qdrant_url, api_key, settings.engine_timeout_seconds)
    stack.push_async_callback(connection.aclose)
    connection.start()
    return QdrantServerEngine(connection), QdrantCatalogue(connection)


def _open_embedder(settings: Settings) -> Embedder:
    if settings.embeddings_url is None:
        return LocalEmbedder(
            threads=settings.embeddings_threads,
            timeout_seconds=settings.embeddings_timeout_seconds,
            cached=settings.embeddings_cached,
        )
    return RemoteEmbedder(
        settings.embeddings_url,
        model=settings.embeddings_model,
        dimension=settings.embeddings_dimension,
        api_key=settings.embeddings_api_key.get_secret_value() if settings.embeddings_api_key else None,
        query_prefix=settings.embeddings_query_prefix,
        passage_prefix=settings.embeddings_passage_prefix,
        timeout_seconds=settings.embeddings_timeout_seconds,
        cached=settings.embeddings_cached,
    )
