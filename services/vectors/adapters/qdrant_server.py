"""Qdrant's server through its own client: the engine to choose when one machine is not enough."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from services.vectors.adapters.probing import write_and_read_back
from services.vectors.adapters.qdrant_connection import QdrantConnection
from services.vectors.adapters.qdrant_payload import (
    ID,
    MAX_INDEXED_NUMBERS,
    METADATA,
    NUMBERS,
    TERMS,
    TEXT,
    content_of,
    number_path,
    payload_of,
    physical_name,
    point_id,
)
from services.vectors.domain import Capabilities, Collection, EngineName, Match, Metric, Record, SearchMode, Vector
from services.vectors.geometry import score
from services.vectors.terms import AllOf, AnyOf, Condition, HasAnyTerm, HasTerm, NoneOf, NumberPast
from shared.errors import ServiceError

_DISTANCES = {Metric.COSINE: "Cosine", Metric.DOT: "Dot", Metric.L2: "Euclid"}
# The client turns points into messages on the event loop: few at a time keep each turn at a few milliseconds.
_BATCH_POINTS = 64
_SEARCH_EF = 128  # the default lost 6 % of the neighbours on overlapping clusters
_RETURNED = [ID, TEXT, METADATA]


class QdrantServerEngine:
    """VectorEngine over a server. A failed upsert may have stored the batches before the failure."""

    name = EngineName.QDRANT

    def __init__(self, connection: QdrantConnection) -> None:
        self._qdrant = connection
        self._indexed: dict[str, set[str]] = {}

    async def create_collection(self, collection: Collection) -> None:
        name = physical_name(collection.id)
        if not await self._qdrant.run(lambda client, _: client.collection_exists(name)):
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
                    metadata=about | {"created_at": collection.created_at.isoformat()},
                )
            )
        except ServiceError:
            raise
        except Exception:
            # Another request finished the same creation first; nothing else makes this id.
            if not await self._qdrant.run(lambda client, _: client.collection_exists(name)):
                raise

    async def _index(self, name: str, field: str, kind: str) -> None:
        if self._qdrant.in_memory:  # it has no indexes, and warns
            return
        await self._qdrant.run(
            lambda client, models: client.create_payload_index(name, field, models.PayloadSchemaType(kind), wait=True)
        )

    async def drop_collection(self, collection: Collection) -> None:
        name = physical_name(collection.id)
        self._indexed.pop(name, None)
        if await self._qdrant.run(lambda client, _: client.collection_exists(name)):
            await self._qdrant.run(lambda client, _: client.delete_collection(name))

    async def holds(self, collection: Collection) -> bool:
        name = physical_name(collection.id)
        return await self._qdrant.run(lambda client, _: client.collection_exists(name))

    async def upsert(self, collection: Collection, records: Sequence[Record]) -> None:
        name = physical_name(collection.id)
        for start in range(0, len(records), _BATCH_POINTS):
            payloads = [payload_of(record) for record in records[start : start + _BATCH_POINTS]]
            await self._index_numbers(name, {key for payload in payloads for key in payload[NUMBERS]})
            await self._upsert(name, records[start : start + _BATCH_POINTS], payloads)

    async def _upsert(self, name: str, records: Sequence[Record], payloads: list[dict[str, Any]]) -> None:
        await self._qdrant.run(
            lambda client, models: client.upsert(
                name,
                [
                    models.PointStruct(id=point_id(record.id), vector=record.vector.tolist(), payload=payload)
                    for record, payload in zip(records, payloads, strict=True)
                ],
                wait=True,
            )
        )

    async def _index_numbers(self, name: str, keys: set[str]) -> None:
        """Ranges over a numeric field read every payload until it has an index; the first few fields get theirs."""
        if self._qdrant.in_memory or not keys:
            return
        if name not in self._indexed:
            info = await self._qdrant.run(lambda client, _: client.get_collection(name))
            self._indexed[name] = set(info.payload_schema)
        known = self._indexed[name]
        for path in sorted(map(number_path, keys)):
            if path not in known and len(known) <= MAX_INDEXED_NUMBERS:
                await self._index(name, path, "float")
                known.add(path)

    async def search(
        self, collection: Collection, vector: Vector, limit: int, condition: Condition | None
    ) -> list[Match]:
        found = await self._qdrant.run(
            lambda client, models: client.query_points(
                physical_name(collection.id),
                query=vector.tolist(),
                query_filter=_filter(models, condition) if condition else None,
                search_params=self._effort(models, limit),
                limit=limit,
                with_payload=_RETURNED,
            )
        )
        return [_match(collection.metric, point) for point in found.points]

    def _effort(self, models: Any, limit: int) -> Any:
        return None if self._qdrant.in_memory else models.SearchParams(hnsw_ef=max(_SEARCH_EF, 2 * limit))

    async def find(self, collection: Collection, record_id: str) -> Record | None:
        found = await self._qdrant.run(
            lambda client, _: client.retrieve(
                physical_name(collection.id), [point_id(record_id)], with_payload=_RETURNED, with_vectors=True
            )
        )
        if not found:
            return None
        found_id, text, metadata = content_of(found[0].payload or {})
        return Record(found_id, np.array(found[0].vector, dtype=np.float32), text, metadata)

    async def delete(self, collection: Collection, ids: Sequence[str]) -> int:
        points = [point_id(one) for one in ids]
        return await self._delete(collection, lambda models: models.Filter(must=[models.HasIdCondition(has_id=points)]))

    async def delete_matching(self, collection: Collection, condition: Condition) -> int:
        return await self._delete(collection, lambda models: _filter(models, condition))

    async def _delete(self, collection: Collection, wanted: Callable[[Any], Any]) -> int:
        """Delete what is met by the filter that `wanted` makes of Qdrant's models."""
        name = physical_name(collection.id)
        found = await self._qdrant.run(lambda client, models: client.count(name, wanted(models), exact=True))
        await self._qdrant.run(
            lambda client, models: client.delete(name, models.FilterSelector(filter=wanted(models)), wait=True)
        )
        return int(found.count)

    async def count(self, collection: Collection) -> int:
        found = await self._qdrant.run(lambda client, _: client.count(physical_name(collection.id), exact=True))
        return int(found.count)

    def capabilities(self) -> Capabilities:
        return Capabilities(backend="Qdrant server", modes=(SearchMode.DENSE,), exact=False)

    async def check(self) -> None:
        await write_and_read_back(self)

    async def aclose(self) -> None:
        """The connection is closed by whoever opened it."""


def _match(metric: Metric, point: Any) -> Match:
    record_id, text, metadata = content_of(point.payload)
    return Match(record_id, score(metric, point.score), text, metadata)


def _filter(models: Any, condition: Condition) -> Any:
    """`condition` as Qdrant's own filter."""
    match condition:
        case AllOf(of):
            return models.Filter(must=[_filter(models, part) for part in of])
        case AnyOf(of):
            return models.Filter(should=[_filter(models, part) for part in of])
        case NoneOf(of):
            return models.Filter(must_not=[_filter(models, of)])
        case HasTerm(term):
            return _where(models, TERMS, match=models.MatchValue(value=term))
        case HasAnyTerm(terms):
            return _where(models, TERMS, match=models.MatchAny(any=list(terms)))
        case NumberPast(key, op, bound):
            return _where(models, number_path(key), range=models.Range(**{op.value: bound}))


def _where(models: Any, path: str, **asked: Any) -> Any:
    return models.Filter(must=[models.FieldCondition(key=path, **asked)])
