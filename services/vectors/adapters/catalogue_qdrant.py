"""The catalogue of many replicas: a collection without vectors on the Qdrant server they share.

A point's id is made of tenant and name, and points are inserted only where none is, so a name is taken once whoever
asks at the same time.
"""

import uuid
from datetime import datetime
from typing import Any

from services.vectors.adapters.qdrant_connection import QdrantConnection
from services.vectors.domain import Collection, CollectionStatus, EngineName, Metric

_NAME = "sutazai-catalogue"
_POINTS = uuid.UUID("2c1d7a0e-3f5b-5e44-9a5e-0d9f1c5f7b21")
_MAX_LISTED = 10_000


class QdrantCatalogue:
    """Catalogue over a Qdrant server."""

    def __init__(self, connection: QdrantConnection) -> None:
        self._qdrant = connection
        self._ready = False

    async def insert(self, collection: Collection) -> bool:
        await self._prepare()
        point = _point(collection.tenant_id, collection.name)
        await self._qdrant.run(
            lambda client, models: client.upsert(
                _NAME,
                [models.PointStruct(id=point, vector={}, payload=_payload(collection))],
                update_mode=models.UpdateMode.INSERT_ONLY,
                wait=True,
            )
        )
        found = await self.find(collection.tenant_id, collection.name)
        return found is not None and found.id == collection.id

    async def find(self, tenant_id: str, name: str) -> Collection | None:
        await self._prepare()
        found = await self._qdrant.run(lambda client, _: client.retrieve(_NAME, [_point(tenant_id, name)]))
        return _collection(found[0].payload or {}) if found else None

    async def list_page(self, tenant_id: str, *, after: str | None, limit: int) -> list[Collection]:
        """The server orders points by id only; a tenant's collections are few enough to sort here."""
        await self._prepare()
        points, _ = await self._qdrant.run(
            lambda client, models: client.scroll(_NAME, _of_tenant(models, tenant_id), limit=_MAX_LISTED)
        )
        found = sorted((_collection(point.payload or {}) for point in points), key=lambda one: one.name)
        return [one for one in found if one.name > (after or "")][:limit]

    async def count(self, tenant_id: str) -> int:
        await self._prepare()
        found = await self._qdrant.run(
            lambda client, models: client.count(_NAME, _of_tenant(models, tenant_id), exact=True)
        )
        return int(found.count)

    async def set_status(self, collection: Collection, status: CollectionStatus) -> None:
        await self._qdrant.run(
            lambda client, models: client.set_payload(
                _NAME, {"status": status.value}, points=_of_collection(models, collection), wait=True
            )
        )

    async def remove(self, collection: Collection) -> None:
        await self._qdrant.run(
            lambda client, models: client.delete(
                _NAME, models.FilterSelector(filter=_of_collection(models, collection)), wait=True
            )
        )

    async def _prepare(self) -> None:
        if self._ready:
            return
        if not await self._qdrant.run(lambda client, _: client.collection_exists(_NAME)):
            await self._create()
        if not self._qdrant.in_memory:
            await self._qdrant.run(
                lambda client, models: client.create_payload_index(_NAME, "tenant_id", models.PayloadSchemaType.KEYWORD)
            )
        self._ready = True

    async def _create(self) -> None:
        try:
            await self._qdrant.run(lambda client, _: client.create_collection(_NAME, vectors_config={}))
        except Exception:
            if not await self._qdrant.run(lambda client, _: client.collection_exists(_NAME)):
                raise  # else another replica made it at the same moment

    async def aclose(self) -> None:
        """The connection is closed by whoever opened it."""


def _point(tenant_id: str, name: str) -> str:
    return str(uuid.uuid5(_POINTS, f"{tenant_id}/{name}"))


def _of_tenant(models: Any, tenant_id: str) -> Any:
    return models.Filter(must=[models.FieldCondition(key="tenant_id", match=models.MatchValue(value=tenant_id))])


def _of_collection(models: Any, collection: Collection) -> Any:
    """The point, as long as it is still this collection: the name may have been given anew."""
    return models.Filter(
        must=[
            models.HasIdCondition(has_id=[_point(collection.tenant_id, collection.name)]),
            models.FieldCondition(key="id", match=models.MatchValue(value=collection.id)),
        ]
    )


def _payload(collection: Collection) -> dict[str, Any]:
    return {
        "id": collection.id,
        "tenant_id": collection.tenant_id,
        "name": collection.name,
        "engine": collection.engine.value,
        "dimension": collection.dimension,
        "metric": collection.metric.value,
        "created_at": collection.created_at.isoformat(),
        "status": collection.status.value,
    }


def _collection(payload: dict[str, Any]) -> Collection:
    return Collection(
        id=payload["id"],
        tenant_id=payload["tenant_id"],
        name=payload["name"],
        engine=EngineName(payload["engine"]),
        dimension=payload["dimension"],
        metric=Metric(payload["metric"]),
        created_at=datetime.fromisoformat(payload["created_at"]),
        status=CollectionStatus(payload["status"]),
    )
