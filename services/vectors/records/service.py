"""The use cases around records: storing, reading and deleting them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from services.vectors.collections.calling import anew_when_changed, on_engine
from services.vectors.collections.domain import Named
from services.vectors.collections.service import CollectionService
from services.vectors.copies.noting import Journal
from services.vectors.domain import Collection, MetadataChanges, Record, Vector
from services.vectors.errors import RecordNotFound
from services.vectors.events import Done
from services.vectors.geometry import float32, placed, require_dimension
from services.vectors.ports import Embedder, VectorEngine
from services.vectors.records.domain import Deleted, Stored
from services.vectors.records.schemas import DeleteRequest, StoreItem, StoreRequest
from services.vectors.stores.domain import FenceMark
from services.vectors.stores.fencing import Fence
from services.vectors.terms import Condition
from services.vectors.usage.domain import Size, content_bytes, size_of
from services.vectors.usage.service import UsageService
from shared.door import Once
from shared.errors import ServiceError
from shared.identity import Caller, Tells
from shared.schemas import new_id

Result = TypeVar("Result")


class RecordService:
    """Everything engines may not be given is refused here, so that all of them refuse alike.

    A change that was asked for by an alias is acknowledged where that points then: what was switched meanwhile, gets
    the change as well. So none is lost in a switch, nor in a copy that ends with one.
    """

    def __init__(
        self,
        collections: CollectionService,
        embedder: Embedder,
        auth: Tells,
        usage: UsageService,
        journal: Journal,
        fence: Fence,
    ) -> None:
        self._collections = collections
        self._embedder = embedder
        self._auth = auth
        self._usage = usage
        self._journal, self._fence = journal, fence

    async def store(self, caller: Caller, body: StoreRequest, once: Once | None = None) -> Stored:
        """Store the items, in a collection made for them where there is none; the last of an id in them wins.

        With `if_absent` the first of an id wins, and what is there already stays as it is. A repetition of `once` makes
        the same ids for items that name none, so it replaces what the first stored, or finds it there.
        An ingestion's (`mark`) makes no collection, and writes only as long as its file is attached as it was.
        Raises DimensionMismatch, ModelMismatch, VectorInvalid, CollectionChanged, CollectionFull, QuotaExceeded,
        AttachmentChanged.
        """
        ids = [item.id or (once.id_at(at) if once else new_id()) for at, item in enumerate(body.items)]
        return await anew_when_changed(lambda: self._store(caller, body, ids))

    async def _store(self, caller: Caller, body: StoreRequest, ids: list[str]) -> Stored:
        # A missing collection takes the dimension of the vectors; nothing is made for items that disagree.
        named = Named.to_write(body.collection)
        dimension = _common_dimension(body)
        if body.mark is None:
            collection = await self._collections.get_or_create(caller, named, dimension)
        else:
            collection = await self._collections.get_ready(caller, named)
        while True:
            stored = await self._stored(caller, named, collection, body, ids)
            if not await self._journal.has_moved(named, stored.collection, ids, number=len(ids)):
                return stored
            collection = await self._collections.look_up(caller, named)

    async def _stored(
        self, caller: Caller, named: Named, collection: Collection, body: StoreRequest, ids: list[str]
    ) -> Stored:
        self._check_dimensions(collection, body.items)
        texts = [item.text or "" for item in body.items if item.vector is None]
        if texts:
            await self._collections.require_model(collection, self._embedder.model, "/items")

        async def put(engine: VectorEngine, at: Collection) -> set[str]:
            async with self._fence.writing(at, body.mark):  # of whichever collection has the name now
                if texts:
                    await self._collections.claim_model(at, self._embedder.model, "/items")
                return await _put(engine, at, records, if_absent=body.if_absent)

        async with self._usage.room(collection, lambda: _size(collection, body.items)):
            embedded = await self._embedder.embed_passages(texts, caller) if texts else []
            # Thousands of conversions: on a thread, so that other requests go on between them.
            records = await asyncio.to_thread(_records, collection, body, ids, embedded)
            collection, new = await self._changed(caller, named, collection, put, ids, has_vectors=True)
        there = [record.id for record in records if record.id not in new]
        return Stored(collection, len(new), ids, there)

    def _check_dimensions(self, collection: Collection, items: Sequence[StoreItem]) -> None:
        for at, item in enumerate(items):
            size = self._embedder.dimension if item.vector is None else len(item.vector)
            member = "text" if item.vector is None else "vector"
            require_dimension(collection.name, collection.dimension, size, f"/items/{at}/{member}")

    async def get(self, caller: Caller, name: str, record_id: str) -> Record:
        """Raises CollectionNotFound, RecordNotFound."""
        named = Named.to_read(name)
        collection = await self._collections.get_ready(caller, named)
        collection, record = await self._on(caller, named, collection, lambda engine, at: engine.find(at, record_id))
        if record is None:
            raise RecordNotFound(collection.name, record_id)
        return record

    async def update(self, caller: Caller, name: str, record_id: str, changes: MetadataChanges) -> Record:
        """The record with `changes` in its metadata. Raises CollectionNotFound, RecordNotFound, MetadataTooLarge."""
        named = Named.to_write(name)
        collection = await self._collections.get_ready(caller, named)
        while True:
            collection, record = await self._changed(
                caller, named, collection, lambda engine, at: engine.merge_metadata(at, record_id, changes), [record_id]
            )
            if record is None:
                raise RecordNotFound(collection.name, record_id)
            self._usage.changed(collection)
            if not await self._journal.has_moved(named, collection, [record_id], number=1):
                return record
            collection = await self._collections.look_up(caller, named)

    async def delete(self, caller: Caller, body: DeleteRequest) -> Deleted:
        """Delete by ids or by filter; what is not there is not counted.

        Raises FilterInvalid, CollectionNotFound, AttachmentChanged.
        """
        return await self._delete(caller, body.collection, body.wanted(), body.mark)

    async def delete_one(self, caller: Caller, name: str, record_id: str) -> None:
        """Raises CollectionNotFound, RecordNotFound."""
        done = await self._delete(caller, name, [record_id])
        if not done.deleted:
            raise RecordNotFound(done.collection.name, record_id)

    async def _delete(
        self, caller: Caller, name: str, wanted: list[str] | Condition, mark: FenceMark | None = None
    ) -> Deleted:
        async def delete(engine: VectorEngine, at: Collection) -> int:
            async with self._fence.writing(at, mark):
                return await _deleted(engine, at, wanted)

        named = Named.to_write(name)
        collection = await self._collections.get_ready(caller, named)
        ids, condition = (wanted, None) if isinstance(wanted, list) else ([], wanted)
        most = 0
        while True:
            collection, deleted = await self._changed(caller, named, collection, delete, ids, condition)
            most = max(most, deleted)
            if deleted:
                self._usage.changed(collection)
                self._auth.tell(caller, Done.RECORDS_DELETED, collection.name)
            # Also where none was there: a first attempt whose answer was lost may have deleted them.
            if not await self._journal.has_moved(named, collection, ids, condition, number=deleted):
                return Deleted(collection, most)
            collection = await self._collections.look_up(caller, named)

    async def _changed(
        self,
        caller: Caller,
        named: Named,
        collection: Collection,
        call: Callable[[VectorEngine, Collection], Awaitable[Result]],
        ids: Sequence[str],
        condition: Condition | None = None,
        *,
        has_vectors: bool = False,
    ) -> tuple[Collection, Result]:
        """As `_on`, of a call that changes records: where it fails, some of them may have been."""
        try:
            return await self._on(caller, named, collection, call, has_vectors=has_vectors)
        except ServiceError:
            await self._journal.may_have_changed(collection, ids, condition)
            raise

    async def _on(
        self,
        caller: Caller,
        named: Named,
        collection: Collection,
        call: Callable[[VectorEngine, Collection], Awaitable[Result]],
        *,
        has_vectors: bool = False,
    ) -> tuple[Collection, Result]:
        """Call the engine; once more when the collection was deleted and made anew since it was looked up."""
        return await on_engine(self._collections, caller, named, collection, call, has_vectors=has_vectors)


def _common_dimension(body: StoreRequest) -> int | None:
    """Of the vectors given, None where there are only texts. Raises DimensionMismatch where they disagree."""
    common = next((len(item.vector) for item in body.items if item.vector is not None), None)
    for at, item in enumerate(body.items):
        if common is not None and item.vector is not None:
            require_dimension(body.collection, common, len(item.vector), f"/items/{at}/vector")
    return common


def _size(collection: Collection, items: Sequence[StoreItem]) -> Size:
    return size_of(len(items), collection.dimension, sum(content_bytes(item.text, item.metadata) for item in items))


def _records(
    collection: Collection, body: StoreRequest, ids: Sequence[str], embedded: Sequence[Vector]
) -> list[Record]:
    """The items as engines take them, the last of each id, or the first."""
    made = iter(embedded)
    records: dict[str, Record] = {}
    for at, (record_id, item) in enumerate(zip(ids, body.items, strict=True)):
        pointer = f"/items/{at}/vector"
        vector = next(made) if item.vector is None else float32(item.vector, pointer)
        record = Record(record_id, placed(vector, collection.metric, pointer), item.text, item.metadata)
        if not (body.if_absent and record_id in records):
            records[record_id] = record
    return list(records.values())


async def _put(engine: VectorEngine, collection: Collection, records: Sequence[Record], *, if_absent: bool) -> set[str]:
    """The ids of those that were stored."""
    if if_absent:
        return set(await engine.insert(collection, records))
    await engine.upsert(collection, records)
    return {record.id for record in records}


async def _deleted(engine: VectorEngine, collection: Collection, wanted: list[str] | Condition) -> int:
    if isinstance(wanted, list):
        return await engine.delete(collection, list(dict.fromkeys(wanted)))
    return await engine.delete_matching(collection, wanted)
