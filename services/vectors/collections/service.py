"""The use cases around collections: making, finding, listing and deleting them."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cachetools import LRUCache

from services.vectors.collections.domain import Counted, Named
from services.vectors.collections.schemas import CollectionCreate
from services.vectors.domain import Collection, CollectionStatus, EngineName
from services.vectors.errors import (
    AliasExists,
    CollectionAliased,
    CollectionExists,
    CollectionLost,
    CollectionMissing,
    CollectionNotFound,
    ModelMismatch,
    QuotaExceeded,
)
from services.vectors.events import Done
from services.vectors.ports import Catalogue, VectorEngine
from shared.door import Once
from shared.errors import ServiceError, Unavailable, UpstreamTimeout
from shared.identity import Caller, Tells
from shared.resources import CursorCodec, Slice, etag, require_match
from shared.schemas import new_id

_COUNTED_AT_ONCE = 8
_MADE_WITHIN = timedelta(seconds=60)  # then whoever began it has gone


class CollectionService:
    """Built once: it remembers which collections there are.

    The catalogue is written before the engine and cleared after it, so what an engine holds is always listed. A process
    that dies in between leaves a collection that is `creating` or `deleting`, and the next request finishes it. What is
    remembered never goes stale unnoticed: a collection's id is used once, so its engine says when it is gone. No engine
    would say of an alias that it was switched, so what those point to is looked up each time.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        engines: Mapping[EngineName, VectorEngine],
        cursors: CursorCodec,
        default_dimension: int,
        auth: Tells,
        most: int = 0,
    ) -> None:
        """A tenant may have `most` collections; 0 is no limit."""
        self._catalogue = catalogue
        self._engines = engines
        self._cursors = cursors
        self._default_dimension = default_dimension
        self._auth = auth
        self._most = most
        self._known: LRUCache[tuple[str, str], Collection] = LRUCache(maxsize=10_000)

    def engine_of(self, collection: Collection) -> VectorEngine:
        return self._engines[collection.engine]

    async def create(self, caller: Caller, body: CollectionCreate, once: Once | None = None) -> Counted:
        """A new collection; for a repetition of `once` the one that was made, which its id tells.

        Raises CollectionExists, AliasExists, QuotaExceeded.
        """
        if once and (made := await self._made(caller, body.name, once)):
            self._tell_created(caller, made.collection)  # again, as the first may have told nobody
            return made
        await self._require_room(caller.tenant_id)
        collection = Collection(
            id=once.id_at(0) if once else new_id(),
            tenant_id=caller.tenant_id,
            name=body.name,
            engine=body.engine,
            dimension=body.dimension or self._default_dimension,
            metric=body.metric,
            created_at=datetime.now(UTC),
            model=body.model,
        )
        made = Counted(await self._insert(collection), 0)
        self._tell_created(caller, made.collection)
        return made

    async def _require_room(self, tenant_id: str) -> None:
        if 0 < self._most <= await self._catalogue.count(tenant_id):
            raise QuotaExceeded("collections", self._most)

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
        if not await self._catalogue.insert(collection, self._most):
            return await self._taken(collection)
        try:
            return await self._finish(collection)
        except CollectionNotFound:
            return _ready(collection)  # it was made, and deleted at once
        except ServiceError:
            # The name must not be held by an engine that is down; unless another request has finished it meanwhile.
            if await self._catalogue.set_status(collection, CollectionStatus.DELETING, was=CollectionStatus.CREATING):
                await self._catalogue.remove(collection)
            raise

    async def _taken(self, wanted: Collection) -> Collection:
        """Finish what nobody is at any more, if it is the very same collection; anything else is a conflict."""
        if alias := await self._catalogue.find_alias(wanted.tenant_id, wanted.name):
            raise AliasExists(wanted.name, alias.collection)
        existing = await self._catalogue.find(wanted.tenant_id, wanted.name)
        if existing is None:
            await self._require_room(wanted.tenant_id)  # others were made at this very moment
            raise CollectionExists(wanted.name, wanted.engine)
        if existing.id == wanted.id and existing.status is not CollectionStatus.DELETING:  # by the same request,
            is_made = existing.status is CollectionStatus.READY  # under the same key, at this very moment
            return existing if is_made else await self._finish(existing)
        if _is_abandoned(existing, wanted) and await self._has_taken_over(existing):
            return _ready(existing)
        being_deleted = existing.status is CollectionStatus.DELETING
        raise CollectionExists(wanted.name, existing.engine, being_deleted=being_deleted)

    async def _has_taken_over(self, collection: Collection) -> bool:
        """Of several at once, one has."""
        await self.engine_of(collection).create_collection(collection)
        return await self._catalogue.set_status(collection, CollectionStatus.READY, was=CollectionStatus.CREATING)

    async def _finish(self, collection: Collection) -> Collection:
        """The collection, ready. Raises CollectionNotFound when it was deleted meanwhile; its engine has it no more."""
        if await self._has_taken_over(collection):
            return _ready(collection)
        present = await self._catalogue.find(collection.tenant_id, collection.name)
        if present == _ready(collection):
            return present
        await self.engine_of(collection).drop_collection(collection)  # here it was made again behind the deletion
        raise CollectionNotFound(collection.name)

    async def get(self, caller: Caller, name: str) -> Counted:
        """The collection whatever its status. Raises CollectionNotFound."""
        return await self._counted(await self._resolved(caller, Named.to_read(name)))

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

    async def delete(self, caller: Caller, name: str, if_match: str | None = None) -> None:
        """Delete it with its records; repeated after a failure it goes on.

        Raises CollectionNotFound, CollectionAliased, also by the alias's own name, and PreconditionFailed for the tag
        of a collection that had the name before.
        """
        self._known.pop((caller.tenant_id, name), None)
        collection = await self._resolved(caller, Named.to_write(name))
        if collection.name != name:
            raise CollectionAliased(collection.name, name)
        require_match(if_match, etag(collection.id))
        if alias := await self._catalogue.retire(collection):
            raise CollectionAliased(collection.name, alias)
        await self.drop(caller, collection)

    async def drop(self, by: Caller, collection: Collection) -> None:
        """One that is retired, with its records."""
        await self.engine_of(collection).drop_collection(collection)
        await self._catalogue.remove(collection)
        self._known.pop((collection.tenant_id, collection.name), None)
        self._auth.tell(by, Done.DELETED, collection.name, once=collection.id, collection_id=collection.id)

    async def get_ready(self, caller: Caller, named: Named) -> Collection:
        """The collection, ready for records.

        Raises CollectionNotFound, also for one that is being deleted or filled, and MissingScope (`Named`).
        """
        if known := self._known.get((caller.tenant_id, named.name)):
            return known
        return await self.look_up(caller, named)

    async def look_up(self, caller: Caller, named: Named) -> Collection:
        """The same, as the catalogue has it at this moment."""
        collection = await self._resolved(caller, named)
        if collection.status in (CollectionStatus.DELETING, CollectionStatus.FILLING):
            raise CollectionNotFound(named.name)
        if collection.status is CollectionStatus.CREATING:
            collection = await self._finish(collection)
        self._known[caller.tenant_id, collection.name] = collection
        return collection

    async def _resolved(self, caller: Caller, named: Named) -> Collection:
        """Whatever its status. Raises CollectionNotFound, MissingScope."""
        collection = await self._catalogue.resolve(caller.tenant_id, named.name)
        if collection is None:
            raise CollectionNotFound(named.name)
        if collection.name != named.name:
            caller.require(named.scope, collection.name)
        return collection

    async def get_or_create(self, caller: Caller, named: Named, dimension: int | None) -> Collection:
        """The collection, ready; a missing one is made with the defaults and, when given, `dimension`."""
        try:
            return await self.get_ready(caller, named)
        except CollectionNotFound:
            try:
                return (await self.create(caller, CollectionCreate(name=named.name, dimension=dimension))).collection
            except (CollectionExists, AliasExists):  # made in between, or being deleted: then it is not found again
                return await self.get_ready(caller, named)

    async def require_model(self, collection: Collection, model: str, pointer: str) -> None:
        """Raises ModelMismatch, pointing at a text, where the collection's texts were embedded with another model."""
        kept = collection.model
        if kept is None:  # as it was remembered; its first text may have come since, through another replica
            present = await self._catalogue.find(collection.tenant_id, collection.name)
            kept = present.model if present and present.id == collection.id else None
        _require_same(collection, kept, model, pointer)

    async def claim_model(self, collection: Collection, model: str, pointer: str) -> None:
        """Before its first text is stored: the collection's texts are those of `model`. Raises ModelMismatch."""
        if collection.model is None:
            kept = await self._catalogue.claim_model(collection, model)
            self._known.pop((collection.tenant_id, collection.name), None)
        else:
            kept = collection.model
        _require_same(collection, kept, model, pointer)

    async def get_anew(self, caller: Caller, named: Named, collection: Collection) -> Collection:
        """After its engine missed `collection`: what is `named` so now.

        Raises CollectionNotFound, CollectionLost, MissingScope.
        """
        self._known.pop((collection.tenant_id, collection.name), None)
        present = await self.look_up(caller, named)
        if present.id == collection.id:
            self._known.pop((collection.tenant_id, collection.name), None)
            raise CollectionLost(collection.name, collection.engine.component)
        return present


def _ready(collection: Collection) -> Collection:
    return replace(collection, status=CollectionStatus.READY)


def _is_abandoned(existing: Collection, wanted: Collection) -> bool:
    """Whether it is what is wanted, and was begun so long ago that whoever did has gone."""
    return (
        existing.status is CollectionStatus.CREATING
        and datetime.now(UTC) - existing.created_at > _MADE_WITHIN
        and (existing.engine, existing.dimension, existing.metric) == (wanted.engine, wanted.dimension, wanted.metric)
        and existing.model == wanted.model
    )


def _require_same(collection: Collection, kept: str | None, model: str, pointer: str) -> None:
    if kept not in (None, model):
        raise ModelMismatch(pointer, name=collection.name, kept=kept, here=model)
