"""The use cases around collections: making, finding, listing and deleting them."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cachetools import LRUCache

from services.vectors.collections.domain import Counted
from services.vectors.collections.schemas import CollectionCreate
from services.vectors.domain import Collection, CollectionStatus, EngineName
from services.vectors.errors import (
    CollectionExists,
    CollectionLost,
    CollectionMissing,
    CollectionNotFound,
    TooManyCollections,
)
from services.vectors.events import Done
from services.vectors.ports import Catalogue, VectorEngine
from shared.door import Once
from shared.errors import ServiceError, Unavailable, UpstreamTimeout
from shared.identity import Caller, Tells
from shared.resources import CursorCodec, Slice
from shared.schemas import new_id

MAX_COLLECTIONS = 1000
_COUNTED_AT_ONCE = 8
_UNDER_WAY = timedelta(seconds=60)  # no request takes longer


class CollectionService:
    """Built once: it remembers which collections there are.

    The catalogue is written before the engine and cleared after it, so what an engine holds is always listed. A process
    that dies in between leaves a collection that is `creating` or `deleting`, and the next request finishes it. What is
    remembered never goes stale unnoticed: a collection's id is used once, so its engine says when it is gone.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        engines: Mapping[EngineName, VectorEngine],
        cursors: CursorCodec,
        default_dimension: int,
        auth: Tells,
    ) -> None:
        self._catalogue = catalogue
        self._engines = engines
        self._cursors = cursors
        self._default_dimension = default_dimension
        self._auth = auth
        self._known: LRUCache[tuple[str, str], Collection] = LRUCache(maxsize=10_000)

    def engine_of(self, collection: Collection) -> VectorEngine:
        return self._engines[collection.engine]

    async def create(self, caller: Caller, body: CollectionCreate, once: Once | None = None) -> Counted:
        """A new collection; for a repetition of `once` the one that was made, which its id tells.

        Raises CollectionExists, TooManyCollections.
        """
        if once and (made := await self._made(caller, body.name, once)):
            self._tell_created(caller, made.collection)  # again, as the first may have told nobody
            return made
        if await self._catalogue.count(caller.tenant_id) >= MAX_COLLECTIONS:
            raise TooManyCollections(MAX_COLLECTIONS)
        collection = Collection(
            id=once.id_at(0) if once else new_id(),
            tenant_id=caller.tenant_id,
            name=body.name,
            engine=body.engine,
            dimension=body.dimension or self._default_dimension,
            metric=body.metric,
            created_at=datetime.now(UTC),
        )
        made = Counted(await self._insert(collection), 0)
        self._tell_created(caller, made.collection)
        return made

    def _tell_created(self, caller: Caller, collection: Collection) -> None:
        self._auth.tell(caller, Done.CREATED, collection.name, once=collection.id, collection_id=collection.id)

    async def _made(self, caller: Caller, name: str, once: Once) -> Counted | None:
        """What the same request made before, ready; it may have records by now."""
        made = await self._catalogue.find(caller.tenant_id, name)
        if made is None or made.id != once.id_at(0) or made.status is CollectionStatus.DELETING:
            return None
        once.is_repetition = True
        return await self._counted(await self._finish(made) if made.status is CollectionStatus.CREATING else made)

    async def _insert(self, collection: Collection) -> Collection:
        if not await self._catalogue.insert(collection):
            return await self._taken(collection)
        try:
            return await self._finish(collection)
        except ServiceError:
            await self._catalogue.remove(collection)  # the name must not be held by an engine that is down
            raise

    async def _taken(self, wanted: Collection) -> Collection:
        """Finish an earlier attempt that broke off, at the very same collection; anything else is a conflict.

        One that may still be under way is somebody else's to answer, here or in another replica: of two identical
        requests at once one is told that it made the collection.
        """
        existing = await self._catalogue.find(wanted.tenant_id, wanted.name)
        if existing is None:
            raise CollectionExists(wanted.name, wanted.engine)
        if existing.id == wanted.id and existing.status is CollectionStatus.READY:
            return existing  # by the same request under the same key, at this very moment
        same = (existing.engine, existing.dimension, existing.metric) == (
            wanted.engine,
            wanted.dimension,
            wanted.metric,
        )
        is_ours = existing.id == wanted.id or wanted.created_at - existing.created_at > _UNDER_WAY
        if existing.status is CollectionStatus.CREATING and same and is_ours:
            return await self._finish(existing)
        being_deleted = existing.status is CollectionStatus.DELETING
        raise CollectionExists(wanted.name, existing.engine, being_deleted=being_deleted)

    async def _finish(self, collection: Collection) -> Collection:
        await self.engine_of(collection).create_collection(collection)
        await self._catalogue.set_status(collection, CollectionStatus.READY)
        return replace(collection, status=CollectionStatus.READY)

    async def get(self, caller: Caller, name: str) -> Counted:
        """The collection whatever its status. Raises CollectionNotFound."""
        collection = await self._catalogue.find(caller.tenant_id, name)
        if collection is None:
            raise CollectionNotFound(name)
        return await self._counted(collection)

    async def list_page(self, caller: Caller, limit: int, cursor: str | None) -> Slice[Counted]:
        """By name."""
        found = await self._cursors.slice(
            lambda after, most: self._catalogue.list_page(caller.tenant_id, after=after, limit=most),
            key=lambda collection: collection.name,
            scope=["vectors.collections", caller.tenant_id],
            limit=limit,
            cursor=cursor,
        )
        turns = asyncio.Semaphore(_COUNTED_AT_ONCE)

        async def counted(collection: Collection) -> Counted:
            async with turns:
                return await self._counted(collection)

        return Slice(await asyncio.gather(*map(counted, found.rows)), found.next_cursor)

    async def _counted(self, collection: Collection) -> Counted:
        if collection.status is not CollectionStatus.READY:
            return Counted(collection, None)
        try:
            return Counted(collection, await self.engine_of(collection).count(collection))
        except CollectionMissing:
            return Counted(collection, None, is_lost=True)
        except (Unavailable, UpstreamTimeout):
            return Counted(collection, None)

    async def delete(self, caller: Caller, name: str) -> None:
        """Delete it with its records; repeated after a failure it goes on. Raises CollectionNotFound."""
        self._known.pop((caller.tenant_id, name), None)
        collection = await self._catalogue.find(caller.tenant_id, name)
        if collection is None:
            raise CollectionNotFound(name)
        await self._catalogue.set_status(collection, CollectionStatus.DELETING)
        await self.engine_of(collection).drop_collection(collection)
        await self._catalogue.remove(collection)
        self._known.pop((caller.tenant_id, name), None)
        self._auth.tell(caller, Done.DELETED, name, once=collection.id, collection_id=collection.id)

    async def get_ready(self, caller: Caller, name: str) -> Collection:
        """The collection, ready for records. Raises CollectionNotFound, also for one that is being deleted."""
        if known := self._known.get((caller.tenant_id, name)):
            return known
        collection = await self._catalogue.find(caller.tenant_id, name)
        if collection is None or collection.status is CollectionStatus.DELETING:
            raise CollectionNotFound(name)
        if collection.status is CollectionStatus.CREATING:
            collection = await self._finish(collection)
        self._known[caller.tenant_id, name] = collection
        return collection

    async def get_or_create(self, caller: Caller, name: str, dimension: int | None) -> Collection:
        """The collection, ready; a missing one is made with the defaults and, when given, `dimension`."""
        try:
            return await self.get_ready(caller, name)
        except CollectionNotFound:
            try:
                return (await self.create(caller, CollectionCreate(name=name, dimension=dimension))).collection
            except CollectionExists:  # made by another request in between, or being deleted: then it is not found again
                return await self.get_ready(caller, name)

    async def get_anew(self, caller: Caller, collection: Collection) -> Collection:
        """After its engine missed `collection`: what has its name now. Raises CollectionNotFound, CollectionLost."""
        self._known.pop((collection.tenant_id, collection.name), None)
        present = await self.get_ready(caller, collection.name)
        if present.id == collection.id:
            self._known.pop((collection.tenant_id, collection.name), None)
            raise CollectionLost(collection.name, collection.engine.component)
        return present
