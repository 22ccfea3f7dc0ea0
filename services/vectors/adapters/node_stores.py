"""The part of the node's catalogue that keeps vector stores."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.vectors.adapters.node_connection import NodeConnection
from services.vectors.adapters.node_protocol import CATALOGUE
from services.vectors.domain import Collection
from services.vectors.stores.domain import (
    Attached,
    Attachment,
    AttachmentStatus,
    Batch,
    ChangeRefused,
    Expired,
    Expiry,
    FenceMark,
    Outcome,
    Span,
    Store,
)


class NodeStores:
    """`Stores` of the node."""

    def __init__(self, node: NodeConnection) -> None:
        self._node = node

    async def describe(
        self,
        collection: Collection,
        *,
        title: str | None,
        description: str | None,
        metadata: Mapping[str, Any] | None,
        expiry: Expiry | None,
    ) -> bool:
        kept: bool = await self._node.ask(
            CATALOGUE,
            "describe",
            collection=collection,
            title=title,
            description=description,
            metadata=metadata,
            expiry=expiry,
        )
        return kept

    async def touch(self, collection: Collection, at: datetime) -> bool:
        is_there: bool = await self._node.ask(CATALOGUE, "touch", collection=collection, at=at)
        return is_there

    async def list_expired(self, at: datetime, *, seen: datetime, limit: int) -> list[Expired]:
        found: list[Expired] = await self._node.ask(CATALOGUE, "list_expired", at=at, seen=seen, limit=limit)
        return found

    async def retire_expired(self, collection: Collection, seen: datetime) -> bool:
        done: bool = await self._node.ask(CATALOGUE, "retire_expired", collection=collection, seen=seen)
        return done

    async def find_store(self, tenant_id: str, name: str) -> Store | None:
        found: Store | None = await self._node.ask(CATALOGUE, "find_store", tenant_id=tenant_id, name=name)
        return found

    async def list_stores(self, tenant_id: str, span: Span) -> list[Store] | None:
        found: list[Store] | None = await self._node.ask(CATALOGUE, "list_stores", tenant_id=tenant_id, span=span)
        return found

    async def attach(
        self, collection: Collection, attachments: Sequence[Attachment], *, most: int, seconds: float
    ) -> Attached:
        attached: Attached = await self._node.ask(
            CATALOGUE, "attach", collection=collection, attachments=attachments, most=most, seconds=seconds
        )
        return attached

    async def begin_write(self, collection: Collection, mark: FenceMark, *, claim: str, seconds: float) -> bool:
        begun: bool = await self._node.ask(
            CATALOGUE, "begin_write", collection=collection, mark=mark, claim=claim, seconds=seconds
        )
        return begun

    async def begin_change(
        self, collection: Collection, mark: FenceMark, *, claim: str, seconds: float
    ) -> ChangeRefused | None:
        refused: ChangeRefused | None = await self._node.ask(
            CATALOGUE, "begin_change", collection=collection, mark=mark, claim=claim, seconds=seconds
        )
        return refused

    async def release(self, collection: Collection, claims: Sequence[str]) -> None:
        await self._node.ask(CATALOGUE, "release", collection=collection, claims=claims)

    async def find_attachments(self, collection: Collection, file_ids: Sequence[str]) -> list[Attachment]:
        found: list[Attachment] = await self._node.ask(
            CATALOGUE, "find_attachments", collection=collection, file_ids=file_ids
        )
        return found

    async def list_attachments(
        self, collection: Collection, span: Span, *, status: AttachmentStatus | None, batch_id: str | None
    ) -> list[Attachment] | None:
        found: list[Attachment] | None = await self._node.ask(
            CATALOGUE, "list_attachments", collection=collection, span=span, status=status, batch_id=batch_id
        )
        return found

    async def find_batch(self, collection: Collection, batch_id: str) -> Batch | None:
        batch: Batch | None = await self._node.ask(CATALOGUE, "find_batch", collection=collection, batch_id=batch_id)
        return batch

    async def settle(self, collection: Collection, outcomes: Sequence[Outcome]) -> None:
        await self._node.ask(CATALOGUE, "settle", collection=collection, outcomes=outcomes)

    async def set_attributes(self, collection: Collection, mark: FenceMark, attributes: Mapping[str, Any]) -> bool:
        changed: bool = await self._node.ask(
            CATALOGUE, "set_attributes", collection=collection, mark=mark, attributes=attributes
        )
        return changed

    async def detach(self, collection: Collection, mark: FenceMark) -> bool:
        """False also when a first attempt whose answer was lost has done it."""
        done: bool = await self._node.ask(CATALOGUE, "detach", collection=collection, mark=mark)
        return done

    async def list_attached(self, tenant_id: str, file_id: str) -> list[str]:
        names: list[str] = await self._node.ask(CATALOGUE, "list_attached", tenant_id=tenant_id, file_id=file_id)
        return names
