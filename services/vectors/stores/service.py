"""The use cases around vector stores: making, reading, listing, changing and deleting them."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from services.vectors.collections.domain import Named
from services.vectors.collections.schemas import CollectionCreate
from services.vectors.collections.service import CollectionService
from services.vectors.domain import READ, Collection, CollectionStatus
from services.vectors.errors import CollectionNotFound
from services.vectors.ports import Catalogue
from services.vectors.stores.attaching import AttachmentService
from services.vectors.stores.attachment_schemas import FileAttach
from services.vectors.stores.domain import Attachment, AttachmentStatus, Expiry, Span, Store
from services.vectors.stores.errors import EngineFixed, PlaceUnknown
from services.vectors.stores.following import Following
from services.vectors.stores.schemas import ENGINE, ExpiresAfter, StoreCreate, StoreUpdate
from services.vectors.stores.stopping import Stopping
from shared.door import Once
from shared.identity import Caller
from shared.schemas import new_id

_PREFIX: Final = "vs_"
_STOPPED: Final = 500
"""Of the ingestions of a store that is deleted, as many are told; the others end at their next write."""
_LOOKED_AT: Final = 20
"""Of a page of stores, as many as are brought up to date first; the others are by whoever reads them."""


class StoreService:
    """Built once. A store is a collection, of which the catalogue keeps what else is told."""

    def __init__(
        self,
        catalogue: Catalogue,
        collections: CollectionService,
        attachments: AttachmentService,
        following: Following,
        stopping: Stopping,
    ) -> None:
        self._catalogue, self._collections = catalogue, collections
        self._attachments, self._following, self._stopping = attachments, following, stopping

    async def create(self, caller: Caller, body: StoreCreate, once: Once | None) -> Store:
        """A new one, with the ingestion of its files submitted; under a key the one that was made.

        Raises QuotaExceeded, and what attaching raises: before anything is made, but for Unavailable.
        """
        wanted = [FileAttach(file_id=one, chunking_strategy=body.chunking_strategy) for one in body.file_ids]
        files = await self._attachments.require(caller, wanted, "/chunking_strategy") if wanted else []
        name = _PREFIX + (once.id_at(1) if once else new_id()).replace("-", "")
        made = await self._collections.create(caller, CollectionCreate(name=name, engine=body.engine), once)
        is_repetition = once is not None and once.is_repetition
        if not (is_repetition and await self._is_told_of(made.collection)):  # as it may have changed since
            await self._catalogue.describe(
                made.collection,
                title=body.name,
                description=body.description,
                metadata=body.metadata,
                expiry=_expiry(caller, body.expires_after),
            )
        if wanted:
            batch_id = once.id_at(2) if once else new_id()
            await self._attachments.attach_all(caller, made.collection, wanted, files, batch_id)
        return await self._find(caller, name)

    async def get(self, caller: Caller, name: str) -> Store:
        """Raises CollectionNotFound."""
        store = await self._find(caller, name)
        if not store.counts.in_progress:
            return store
        await self._following.look(caller, store.collection)
        return await self._find(caller, name)

    async def list_page(self, caller: Caller, span: Span) -> list[Store]:
        """By age. Raises PlaceUnknown."""
        found = await self._listed(caller, span)
        under_way = [store.collection for store in found if store.counts.in_progress][:_LOOKED_AT]
        if not under_way:
            return found
        await asyncio.gather(*(self._following.look(caller, collection) for collection in under_way))
        return await self._listed(caller, span)

    async def update(self, caller: Caller, name: str, body: StoreUpdate) -> Store:
        """What is left out stays. Raises CollectionNotFound, EngineFixed."""
        collection = await self._collections.look_up(caller, Named.to_write(name))
        engine = (body.metadata or {}).get(ENGINE)
        if engine not in (None, collection.engine.value):
            raise EngineFixed(collection.engine.value)
        expiry = _expiry(caller, body.expires_after)
        is_there = await self._catalogue.describe(
            collection, title=body.name, description=None, metadata=body.metadata, expiry=expiry
        )
        if not is_there:
            raise CollectionNotFound(name)
        return await self.get(caller, name)

    async def delete(self, caller: Caller, name: str) -> None:
        """With its records, whatever is being ingested: that ends, and makes nothing anew.

        Raises CollectionNotFound, CollectionAliased.
        """
        under_way = await self._under_way(caller, name)
        await self._collections.delete(caller, name)
        await self._stopping.tell_what_is_left(caller, under_way)

    async def _is_told_of(self, collection: Collection) -> bool:
        store = await self._catalogue.find_store(collection.tenant_id, collection.name)
        return store is not None and store.about is not None

    async def _under_way(self, caller: Caller, name: str) -> list[Attachment]:
        store = await self._catalogue.find_store(caller.tenant_id, name)
        if store is None or not store.counts.in_progress:
            return []
        found = await self._catalogue.list_attachments(
            store.collection, Span(_STOPPED), status=AttachmentStatus.IN_PROGRESS, batch_id=None
        )
        return found or []

    async def _find(self, caller: Caller, name: str) -> Store:
        store = await self._catalogue.find_store(caller.tenant_id, name)
        if store is None or store.collection.status is CollectionStatus.DELETING:
            raise CollectionNotFound(name)
        if store.collection.name != name:  # an alias opens nothing that its caller may not read
            caller.require(READ, store.collection.name)
        return store

    async def _listed(self, caller: Caller, span: Span) -> list[Store]:
        found = await self._catalogue.list_stores(caller.tenant_id, span)
        if found is None:
            raise PlaceUnknown("before" if span.after is None else "after")
        return found


def _expiry(caller: Caller, wanted: ExpiresAfter | None) -> Expiry | None:
    """From now on."""
    return None if wanted is None else Expiry(wanted.days, datetime.now(UTC), caller.subject)
