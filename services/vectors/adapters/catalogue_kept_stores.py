"""The part of the catalogue that keeps vector stores, over its connection."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import orjson

from services.vectors.adapters import catalogue_attaching as attaching
from services.vectors.adapters import catalogue_claims as claiming
from services.vectors.adapters import catalogue_expiry as expiring
from services.vectors.adapters import catalogue_stores as stores
from services.vectors.domain import Collection
from services.vectors.stores.domain import (
    Attached,
    Attachment,
    AttachmentStatus,
    Batch,
    ChangeRefused,
    Counts,
    Expired,
    Expiry,
    FenceMark,
    Outcome,
    Span,
    Store,
)

Result = TypeVar("Result")
_SET_ATTRIBUTES = "UPDATE attachment SET attributes = ? WHERE collection_id = ? AND file_id = ? AND version = ?"


class KeptStores(ABC):
    """`Stores`, for a catalogue that has collections."""

    @abstractmethod
    async def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result: ...

    @abstractmethod
    async def _write(self, statement: str, *values: Any) -> int: ...

    @abstractmethod
    async def resolve(self, tenant_id: str, name: str) -> Collection | None: ...

    @abstractmethod
    async def find_by_id(self, collection_id: str) -> Collection | None: ...

    @abstractmethod
    def _listed(self, connection: sqlite3.Connection, tenant_id: str, span: Span) -> list[Collection] | None: ...

    async def describe(
        self,
        collection: Collection,
        *,
        title: str | None,
        description: str | None,
        metadata: Mapping[str, Any] | None,
        expiry: Expiry | None,
    ) -> bool:
        told = (title, description, None if metadata is None else orjson.dumps(metadata).decode())
        return await self._run(lambda connection: stores.describe(connection, collection, told, expiry))

    async def touch(self, collection: Collection, at: datetime) -> bool:
        return await self._run(lambda connection: expiring.touch(connection, collection, at))

    async def list_expired(self, at: datetime, *, seen: datetime, limit: int) -> list[Expired]:
        over = await self._run(lambda connection: expiring.list_over(connection, at, seen, limit))
        found = [(await self.find_by_id(one), by) for one, by in over.items()]
        return [Expired(collection, by) for collection, by in found if collection is not None]

    async def retire_expired(self, collection: Collection, seen: datetime) -> bool:
        return await self._run(lambda connection: expiring.retire(connection, collection, seen))

    async def find_store(self, tenant_id: str, name: str) -> Store | None:
        collection = await self.resolve(tenant_id, name)
        if collection is None:
            return None
        (store,) = await self._run(lambda connection: _stores(connection, [collection]))
        return store

    async def list_stores(self, tenant_id: str, span: Span) -> list[Store] | None:
        def listed(connection: sqlite3.Connection) -> list[Store] | None:
            found = self._listed(connection, tenant_id, span)
            return None if found is None else _stores(connection, found)

        return await self._run(listed)

    async def attach(
        self, collection: Collection, attachments: Sequence[Attachment], *, most: int, seconds: float
    ) -> Attached:
        return await self._run(
            lambda connection: attaching.attach(connection, collection, attachments, most=most, seconds=seconds)
        )

    async def begin_write(self, collection: Collection, mark: FenceMark, *, claim: str, seconds: float) -> bool:
        return await self._run(lambda connection: claiming.begin_write(connection, collection, mark, claim, seconds))

    async def begin_change(
        self, collection: Collection, mark: FenceMark, *, claim: str, seconds: float
    ) -> ChangeRefused | None:
        return await self._run(lambda connection: claiming.begin_change(connection, collection, mark, claim, seconds))

    async def release(self, collection: Collection, claims: Sequence[str]) -> None:
        await self._run(lambda connection: claiming.release(connection, collection, claims))

    async def find_attachments(self, collection: Collection, file_ids: Sequence[str]) -> list[Attachment]:
        return await self._run(lambda connection: stores.find(connection, collection, file_ids))

    async def list_attachments(
        self, collection: Collection, span: Span, *, status: AttachmentStatus | None, batch_id: str | None
    ) -> list[Attachment] | None:
        return await self._run(lambda connection: stores.list_page(connection, collection, span, status, batch_id))

    async def find_batch(self, collection: Collection, batch_id: str) -> Batch | None:
        return await self._run(lambda connection: stores.find_batch(connection, collection, batch_id))

    async def settle(self, collection: Collection, outcomes: Sequence[Outcome]) -> None:
        await self._run(lambda connection: stores.settle(connection, collection, outcomes))

    async def set_attributes(self, collection: Collection, mark: FenceMark, attributes: Mapping[str, Any]) -> bool:
        written = orjson.dumps(attributes).decode()
        return await self._write(_SET_ATTRIBUTES, written, collection.id, mark.file_id, mark.version) == 1

    async def detach(self, collection: Collection, mark: FenceMark) -> bool:
        return await self._run(lambda connection: stores.detach(connection, collection, mark))

    async def list_attached(self, tenant_id: str, file_id: str) -> list[str]:
        return await self._run(lambda connection: stores.list_attached(connection, tenant_id, file_id))


def _stores(connection: sqlite3.Connection, collections: Sequence[Collection]) -> list[Store]:
    ids = [collection.id for collection in collections]
    abouts, counts = stores.abouts(connection, ids), stores.counts(connection, ids)
    expiries = expiring.find(connection, ids)
    return [Store(one, abouts.get(one.id), counts.get(one.id, Counts()), expiries.get(one.id)) for one in collections]
