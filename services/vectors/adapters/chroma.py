"""ChromaDB as an engine."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from cachetools import LRUCache

from services.vectors.adapters.chroma_api import ChromaApi
from services.vectors.adapters.chroma_metadata import METADATA, content_of, metadata_of, where_of
from services.vectors.adapters.probing import write_and_read_back
from services.vectors.domain import Capabilities, Collection, EngineName, Match, Metric, Record, SearchMode, Vector
from services.vectors.errors import CollectionMissing
from services.vectors.geometry import score
from services.vectors.terms import Condition

_SPACES = {Metric.COSINE: "cosine", Metric.DOT: "ip", Metric.L2: "l2"}
_BATCH_BYTES = 900_000  # a larger body would hold up the event loop; the server's own bound is 40 MiB

Prepared = tuple[Record, dict[str, Any]]


class ChromaEngine:
    """VectorEngine over ChromaDB. A failed upsert may have stored the batches before the failure."""

    name = EngineName.CHROMA

    def __init__(self, url: str, timeout_seconds: float, tenant: str | None = None) -> None:
        self._api = ChromaApi(url, timeout_seconds, tenant)
        self._ids: LRUCache[str, str] = LRUCache(maxsize=10_000)

    async def create_collection(self, collection: Collection) -> None:
        about = {
            "tenant_id": collection.tenant_id,
            "name": collection.name,
            "created_at": collection.created_at.isoformat(),
        }
        self._ids.pop(collection.id, None)  # the one of health checks may be made again, under the same id
        await self._api.create_collection(_physical_name(collection), _SPACES[collection.metric], about)

    async def drop_collection(self, collection: Collection) -> None:
        self._ids.pop(collection.id, None)
        try:
            await self._api.delete_collection(_physical_name(collection))
        except CollectionMissing:
            return

    async def holds(self, collection: Collection) -> bool:
        try:
            await self._api.collection_id(_physical_name(collection))
        except CollectionMissing:
            return False
        return True

    async def upsert(self, collection: Collection, records: Sequence[Record]) -> None:
        chroma_id = await self._chroma_id(collection)
        metadatas = await asyncio.to_thread(lambda: [metadata_of(record) for record in records])
        for batch in _batches(list(zip(records, metadatas, strict=True))):
            await self._api.upsert(
                chroma_id,
                ids=[record.id for record, _ in batch],
                vectors=[record.vector for record, _ in batch],
                # An upsert keeps what it is not given, so a record without text says so.
                documents=[record.text or "" for record, _ in batch],
                metadatas=[metadata for _, metadata in batch],
            )

    async def search(
        self, collection: Collection, vector: Vector, limit: int, condition: Condition | None
    ) -> list[Match]:
        where = where_of(condition) if condition else None
        found = await self._api.query(await self._chroma_id(collection), vector, limit, where)
        rows = zip(found["ids"][0], found["distances"][0], found["documents"][0], found["metadatas"][0], strict=True)
        return [
            Match(record_id, _score(collection.metric, distance), *content_of(text, kept))
            for record_id, distance, text, kept in rows
        ]

    async def find(self, collection: Collection, record_id: str) -> Record | None:
        found = await self._api.get(
            await self._chroma_id(collection), [record_id], ["documents", "metadatas", "embeddings"]
        )
        if not found["ids"]:
            return None
        text, metadata = content_of(found["documents"][0], found["metadatas"][0])
        return Record(record_id, np.array(found["embeddings"][0], dtype=np.float32), text, metadata)

    async def delete(self, collection: Collection, ids: Sequence[str]) -> int:
        chroma_id = await self._chroma_id(collection)
        there = (await self._api.get(chroma_id, ids, []))["ids"]
        if there:
            await self._api.delete(chroma_id, ids=there)
        return len(there)

    async def delete_matching(self, collection: Collection, condition: Condition) -> int:
        return await self._api.delete(await self._chroma_id(collection), where=where_of(condition))

    async def count(self, collection: Collection) -> int:
        return await self._api.count(await self._chroma_id(collection))

    async def _chroma_id(self, collection: Collection) -> str:
        if (known := self._ids.get(collection.id)) is None:
            known = self._ids[collection.id] = await self._api.collection_id(_physical_name(collection))
        return known

    def capabilities(self) -> Capabilities:
        return Capabilities(backend="ChromaDB server", modes=(SearchMode.DENSE,), exact=False)

    async def check(self) -> None:
        await write_and_read_back(self)

    async def aclose(self) -> None:
        await self._api.aclose()


def _physical_name(collection: Collection) -> str:
    return f"sutazai-{collection.id}"


def _batches(prepared: Sequence[Prepared]) -> Iterator[list[Prepared]]:
    batch: list[Prepared] = []
    size = 0
    for record, metadata in prepared:
        # Base64 takes four bytes for three; terms repeat the metadata.
        more = record.vector.nbytes * 4 // 3 + len(record.text or "") + 3 * len(metadata[METADATA])
        if batch and size + more > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append((record, metadata))
        size += more
    yield batch


def _score(metric: Metric, distance: float | None) -> float:
    """ChromaDB answers one less the cosine or the inner product, or the squared Euclidean distance."""
    if distance is None:
        return score(metric, None)
    return score(metric, math.sqrt(max(0.0, distance)) if metric is Metric.L2 else 1.0 - distance)
