"""The collections of a Qdrant server: how they are made, and what each has beside its records."""

from dataclasses import dataclass
from typing import Any

from services.vectors.adapters.qdrant_connection import QdrantConnection
from services.vectors.adapters.qdrant_payload import MAX_INDEXED_NUMBERS, TERMS, WORDS, number_path, physical_name
from services.vectors.domain import Collection, Metric
from shared.errors import ServiceError

_DISTANCES = {Metric.COSINE: "Cosine", Metric.DOT: "Dot", Metric.L2: "Euclid"}
UNWORDED = "unworded_since"
"""In a collection's metadata while some of its records of before have no words yet; empty once all have."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a collection has beside its records."""

    indexed: set[str]
    """Payload fields with an index; it grows."""
    has_words: bool
    """Whether its points may have words."""
    unworded_since: str
    """When words began to be made for those that had none; empty where every text has its own."""

    @property
    def finds_words(self) -> bool:
        return self.has_words and not self.unworded_since


class QdrantCollections:
    """Over the connection of an engine."""

    def __init__(self, connection: QdrantConnection) -> None:
        self._qdrant = connection
        self._kept: dict[str, Kept] = {}

    async def create(self, collection: Collection) -> None:
        """Nothing happens when it is there."""
        name = physical_name(collection.id)
        if not await self.holds(name):
            await self._create(name, collection)
        await self._index(name, TERMS, "keyword")

    async def _create(self, name: str, collection: Collection) -> None:
        about = {"tenant_id": collection.tenant_id, "name": collection.name, "metric": collection.metric.value}
        try:
            await self._qdrant.run(
                lambda client, models: client.create_collection(
                    name,
                    vectors_config=models.VectorParams(
                        size=collection.dimension, distance=models.Distance(_DISTANCES[collection.metric])
                    ),
                    sparse_vectors_config={WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                    metadata=about | {"created_at": collection.created_at.isoformat()},
                )
            )
        except ServiceError:
            raise
        except Exception:
            # Another request finished the same creation first; nothing else makes this id.
            if not await self.holds(name):
                raise

    async def _index(self, name: str, field: str, kind: str) -> None:
        if self._qdrant.in_memory:  # it has no indexes, and warns
            return
        await self._qdrant.run(
            lambda client, models: client.create_payload_index(name, field, models.PayloadSchemaType(kind), wait=True)
        )

    async def drop(self, name: str) -> None:
        """Nothing happens when it is gone."""
        self.forget(name)
        if await self.holds(name):
            await self._qdrant.run(lambda client, _: client.delete_collection(name))

    async def holds(self, name: str) -> bool:
        return await self._qdrant.run(lambda client, _: client.collection_exists(name))

    async def look_up(self, name: str) -> Kept:
        """Remembered once it finds words: until then another replica may make them. Raises CollectionMissing."""
        if (kept := self._kept.get(name)) is not None:
            return kept
        info = await self._qdrant.run(lambda client, _: client.get_collection(name))
        about: dict[str, Any] = info.config.metadata or {}
        words = WORDS in (info.config.params.sparse_vectors or {})
        kept = Kept(set(info.payload_schema), words, str(about.get(UNWORDED) or ""))
        if kept.finds_words:
            self._kept[name] = kept
        return kept

    def forget(self, name: str) -> None:
        self._kept.pop(name, None)

    async def index_numbers(self, name: str, kept: Kept, keys: set[str]) -> None:
        """Ranges over a numeric field read every payload until it has an index; the first few fields get theirs."""
        if self._qdrant.in_memory:
            return
        for path in sorted(map(number_path, keys)):
            if path not in kept.indexed and len(kept.indexed) <= MAX_INDEXED_NUMBERS:
                await self._index(name, path, "float")
                kept.indexed.add(path)
