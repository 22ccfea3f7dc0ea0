"""The part of the node's catalogue that keeps vector stores."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.vectors.adapters.node_connection import NodeConnection
from services.vectors.adapters.node_protocol import CATALOGUE
from services.vectors.domain import Collection
from services.vectors.stores.domain import (
    About,
    Attachment,
    AttachmentStatus,
    AttachRefused,
    Batch,
    Outcome,
    Span,
    Store,
)


class NodeStores:
    """`Stores` of the node."""

    def __init__(self, node: NodeConnection) -> None:
        self._node = node

    async def describe(self, collection: Collection, about: About) -> bool:
        kept: bool = await self._node.ask(CATALOGUE, "describe", collection=collection, about=about)
        return kept

    async def find_store(self, tenant_id: str, name: str) -> Store | None:
        found: Store | None = await self._node.ask(CATALOGUE, "find_store", tenant_id=tenant_id, name=name)
        return found

    async def list_stores(self, tenant_id: str, span: Span) -> list[Store] | None:
        found: list[Store] | None = await self._node.ask(CATALOGUE, "list_stores", tenant_id=tenant_id, span=span)
        return found

    async def attach(
        self, collection: Collection, attachments: Sequence[Attachment], most: int
    ) -> AttachRefused | None:
        refused: AttachRefused | None = await self._node.ask(
            CATALOGUE, "attach", collection=collection, attachments=attachments, most=most
        )
        return refused

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

    async def set_attributes(
        self, collection: Collection, file_id: str, version: str, attributes: Mapping[str, Any]
    ) -> bool:
        changed: bool = await self._node.ask(
            CATALOGUE,
            "set_attributes",
            collection=collection,
            file_id=file_id,
            version=version,
            attributes=attributes,
        )
        return changed

    async def detach(self, collection: Collection, file_id: str, version: str) -> bool:
        """False also when a first attempt whose answer was lost has done it."""
        done: bool = await self._node.ask(CATALOGUE, "detach", collection=collection, file_id=file_id, version=version)
        return done

    async def list_attached(self, tenant_id: str, file_id: str) -> list[str]:
        names: list[str] = await self._node.ask(CATALOGUE, "list_attached", tenant_id=tenant_id, file_id=file_id)
        return names
