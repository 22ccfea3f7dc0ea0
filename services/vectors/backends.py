"""Opens the engines, the catalogue and the model that the settings name."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.vectors.adapters import faiss, qdrant_edge
from services.vectors.adapters.catalogue_former import AdoptingCatalogue
from services.vectors.adapters.catalogue_sqlite import SqliteCatalogue
from services.vectors.adapters.chroma import ChromaEngine
from services.vectors.adapters.data_dir import owned
from services.vectors.adapters.embeddings_local import LocalEmbedder
from services.vectors.adapters.embeddings_remote import RemoteEmbedder
from services.vectors.adapters.faiss import FaissEngine
from services.vectors.adapters.node_catalogue import NodeCatalogue
from services.vectors.adapters.node_connection import NodeConnection
from services.vectors.adapters.node_engine import NodeEngine
from services.vectors.adapters.qdrant_connection import QdrantConnection
from services.vectors.adapters.qdrant_edge import QdrantEdgeEngine
from services.vectors.adapters.qdrant_server import QdrantServerEngine
from services.vectors.adapters.rerank_remote import RemoteReranker
from services.vectors.domain import EngineName
from services.vectors.ports import Catalogue, Embedder, Reranker, VectorEngine
from services.vectors.settings import KeptSettings, Settings
from shared.loops import in_background, keep
from shared.settings import require_address

CATALOGUE_REMEDY = "look at the free space under DATA_DIR"
_log = logging.getLogger("vectors.backends")
_ADOPTION_RETRY_SECONDS = 2.0
_ADOPTED_SECONDS = 3600.0  # then there is nothing more to do
_LOOKS = 8  # for what is idle, in the time after which it is


@dataclass(frozen=True, slots=True)
class Kept:
    """What lives in the data directory, and the connection to Qdrant's server that the catalogue has."""

    engines: Mapping[EngineName, VectorEngine]
    catalogue: SqliteCatalogue
    qdrant: QdrantConnection | None


@dataclass(frozen=True, slots=True)
class Backends:
    """Everything outside that the service works with."""

    engines: Mapping[EngineName, VectorEngine]
    catalogue: Catalogue
    embedder: Embedder
    reranker: Reranker | None


@asynccontextmanager
async def open_backends(settings: Settings, node: NodeConnection | None = None) -> AsyncIterator[Backends]:
    """Nothing is asked yet: an engine that is down keeps the others from nothing.

    With `node` nothing is kept here. Raises DataDirInUse, and CannotStart for an address that is none.
    """
    for variable in ("chromadb_url", "qdrant_url", "embeddings_url", "rerank_url"):
        if url := getattr(settings, variable):
            require_address(variable.upper(), url, "http", "https")
    async with AsyncExitStack() as stack:
        embedder = _open_embedder(settings)
        stack.push_async_callback(embedder.aclose)
        if reranker := _open_reranker(settings):
            stack.push_async_callback(reranker.aclose)
        catalogue: Catalogue
        if node is None:
            kept = await stack.enter_async_context(open_kept(settings))
            engines, catalogue, connection = dict(kept.engines), kept.catalogue, kept.qdrant
        else:
            engines, catalogue, connection = _kept_by(node), NodeCatalogue(node), _qdrant(settings, stack)
        engines[EngineName.CHROMA] = _open_chroma(settings)
        stack.push_async_callback(engines[EngineName.CHROMA].aclose)
        if connection:
            engines[EngineName.QDRANT] = QdrantServerEngine(connection)
            stack.push_async_callback(engines[EngineName.QDRANT].aclose)
        yield Backends({name: engines[name] for name in EngineName}, catalogue, embedder, reranker)


@asynccontextmanager
async def open_kept(settings: KeptSettings) -> AsyncIterator[Kept]:
    """What the data directory holds, which is this process's alone while the block runs. Raises DataDirInUse."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(owned(settings.data_dir))
        connection = _qdrant(settings, stack)
        catalogue = await _open_catalogue(settings.data_dir / "catalogue.db", connection, stack)
        stack.push_async_callback(catalogue.aclose)
        engines: list[FaissEngine | QdrantEdgeEngine] = [_open_faiss(settings)]
        if connection is None:
            engines.append(_open_edge(settings))
        for engine in engines:
            stack.push_async_callback(engine.aclose)
        if pause := settings.unload_after_seconds / _LOOKS:
            idle = [keep(engine.close_idle, log=_log, every_seconds=pause, pauses_first=True) for engine in engines]
            await stack.enter_async_context(in_background(*idle))
        yield Kept({engine.name: engine for engine in engines}, catalogue, connection)


def _open_faiss(settings: KeptSettings) -> FaissEngine:
    return FaissEngine(
        settings.data_dir / "faiss",
        threads=settings.faiss_threads,
        max_bytes=settings.faiss_max_bytes,
        memory_bytes=settings.loaded_max_bytes,
        idle_seconds=settings.unload_after_seconds,
    )


def _open_edge(settings: KeptSettings) -> QdrantEdgeEngine:
    return QdrantEdgeEngine(
        settings.data_dir / "qdrant",
        settings.engine_timeout_seconds,
        memory_bytes=settings.loaded_max_bytes,
        idle_seconds=settings.unload_after_seconds,
    )


def _kept_by(node: NodeConnection) -> dict[EngineName, VectorEngine]:
    return {
        EngineName.FAISS: NodeEngine(EngineName.FAISS, node, faiss.CAPABILITIES),
        EngineName.QDRANT: NodeEngine(EngineName.QDRANT, node, qdrant_edge.CAPABILITIES),
    }


def _qdrant(settings: KeptSettings, stack: AsyncExitStack) -> QdrantConnection | None:
    if settings.qdrant_url is None:
        return None
    api_key = settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None
    connection = QdrantConnection(settings.qdrant_url, api_key, settings.engine_timeout_seconds)
    stack.push_async_callback(connection.aclose)
    return connection


async def _open_catalogue(path: Path, connection: QdrantConnection | None, stack: AsyncExitStack) -> SqliteCatalogue:
    """A file here, wherever Qdrant is; its server may have a former one."""
    if connection is None:
        return SqliteCatalogue(path)
    catalogue = AdoptingCatalogue(path, connection)
    await stack.enter_async_context(
        in_background(
            keep(catalogue.adopt, log=_log, every_seconds=_ADOPTED_SECONDS, retry_seconds=_ADOPTION_RETRY_SECONDS)
        )
    )
    return catalogue


def _open_chroma(settings: Settings) -> VectorEngine:
    tenant = settings.chromadb_tenant.get_secret_value() if settings.chromadb_tenant else None
    return ChromaEngine(settings.chromadb_url, settings.engine_timeout_seconds, tenant)


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
        window_tokens=settings.embeddings_window_tokens,
        api_key=settings.embeddings_api_key.get_secret_value() if settings.embeddings_api_key else None,
        query_prefix=settings.embeddings_query_prefix,
        passage_prefix=settings.embeddings_passage_prefix,
        timeout_seconds=settings.embeddings_timeout_seconds,
        cached=settings.embeddings_cached,
    )


def _open_reranker(settings: Settings) -> Reranker | None:
    if settings.rerank_url is None:
        return None
    return RemoteReranker(
        settings.rerank_url,
        model=settings.rerank_model,
        api_key=settings.rerank_api_key.get_secret_value() if settings.rerank_api_key else None,
        timeout_seconds=settings.rerank_timeout_seconds,
    )
