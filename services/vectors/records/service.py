"""The use cases around records: storing, searching, reading and deleting them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from services.vectors.collections.service import CollectionService
from services.vectors.domain import Collection, Match, Record, Vector, ranked
from services.vectors.errors import (
    CollectionMissing,
    CollectionNotFound,
    DimensionMismatch,
    RecordNotFound,
    UnsupportedCapability,
)
from services.vectors.events import Done
from services.vectors.geometry import float32, placed
from services.vectors.ports import Embedder, VectorEngine
from services.vectors.records.domain import Deleted, Found, Stored
from services.vectors.records.schemas import DeleteRequest, SearchRequest, StoreItem, StoreRequest
from services.vectors.terms import Condition
from shared.door import Once
from shared.identity import Caller, Tells
from shared.schemas import new_id
from shared.telemetry import monotonic_ms

# Ties have no order on any engine, so a few more than k are fetched; when the tie reaches past them, many more.
_TIE_MARGIN = 8
_TIE_LIMIT = 2048

Result = TypeVar("Result")


class RecordService:
    """Everything engines may not be given is refused here, so that all of them refuse alike."""

    def __init__(self, collections: CollectionService, embedder: Embedder, auth: Tells) -> None:
        self._collections = collections
        self._embedder = embedder
        self._auth = auth

    async def store(self, caller: Caller, body: StoreRequest, once: Once | None = None) -> Stored:
        """Store the items, in a collection made for them where there is none; the last of an id in them wins.

        A repetition of `once` makes the same ids for items that name none, so it replaces what the first stored.
        Raises DimensionMismatch, ModelMismatch, VectorInvalid, CollectionFull.
        """
        # A missing collection takes the dimension of the vectors; nothing is made for items that disagree.
        collection = await self._collections.get_or_create(caller, body.collection, _common_dimension(body))
        self._check_dimensions(collection, body.items)
        texts = [item.text or "" for item in body.items if item.vector is None]
        if texts:
            await self._collections.require_model(collection, self._embedder.model, "/items")
        ids = [item.id or (once.id_at(at) if once else new_id()) for at, item in enumerate(body.items)]
        embedded = await self._embedder.embed_passages(texts, caller) if texts else []
        # Thousands of conversions: on a thread, so that other requests go on between them.
        records = await asyncio.to_thread(_records, collection, ids, body.items, embedded)

        async def put(engine: VectorEngine, at: Collection) -> None:
            if texts:  # of whichever collection has the name now
                await self._collections.claim_model(at, self._embedder.model, "/items")
            await engine.upsert(at, records)

        collection, _ = await self._on(caller, collection, put)
        return Stored(collection, len(records), ids)

    def _check_dimensions(self, collection: Collection, items: Sequence[StoreItem]) -> None:
        for at, item in enumerate(items):
            size = self._embedder.dimension if item.vector is None else len(item.vector)
            member = "text" if item.vector is None else "vector"
            _require_dimension(collection.name, collection.dimension, size, f"/items/{at}/{member}")

    async def search(self, caller: Caller, body: SearchRequest) -> Found:
        """The `k` best, equal scores by id.

        Raises FilterInvalid, CollectionNotFound, UnsupportedCapability, DimensionMismatch, ModelMismatch,
        VectorInvalid.
        """
        condition = body.condition()
        started = time.perf_counter()
        collection = await self._collections.get_ready(caller, body.collection)
        if body.mode not in self._collections.engine_of(collection).capabilities().modes:
            raise UnsupportedCapability("/mode", engine=collection.engine, capability=f"{body.mode.value!r} search")
        point = await self._point(collection, body, caller)
        collection, results = await self._on(
            caller, collection, lambda engine, at: _best(engine, at, point, body.k, condition)
        )
        return Found(collection, results, round(monotonic_ms(started), 2))

    async def _point(self, collection: Collection, body: SearchRequest, caller: Caller) -> Vector:
        if body.vector is not None:
            _require_dimension(collection.name, collection.dimension, len(body.vector), "/vector")
            return placed(float32(body.vector, "/vector"), collection.metric, "/vector")
        _require_dimension(collection.name, collection.dimension, self._embedder.dimension, "/query")
        await self._collections.require_model(collection, self._embedder.model, "/query")
        return placed(await self._embedder.embed_query(body.query or "", caller), collection.metric, "/query")

    async def get(self, caller: Caller, name: str, record_id: str) -> Record:
        """Raises CollectionNotFound, RecordNotFound."""
        collection = await self._collections.get_ready(caller, name)
        _, record = await self._on(caller, collection, lambda engine, at: engine.find(at, record_id))
        if record is None:
            raise RecordNotFound(name, record_id)
        return record

    async def delete(self, caller: Caller, body: DeleteRequest) -> Deleted:
        """Delete by ids or by filter; what is not there is not counted. Raises FilterInvalid, CollectionNotFound."""
        return await self._delete(caller, body.collection, body.wanted())

    async def delete_one(self, caller: Caller, name: str, record_id: str) -> None:
        """Raises CollectionNotFound, RecordNotFound."""
        if not (await self._delete(caller, name, [record_id])).deleted:
            raise RecordNotFound(name, record_id)

    async def _delete(self, caller: Caller, name: str, wanted: list[str] | Condition) -> Deleted:
        collection = await self._collections.get_ready(caller, name)
        collection, deleted = await self._on(caller, collection, lambda engine, at: _deleted(engine, at, wanted))
        if deleted:
            self._auth.tell(caller, Done.RECORDS_DELETED, name)
        return Deleted(collection, deleted)

    async def _on(
        self, caller: Caller, collection: Collection, call: Callable[[VectorEngine, Collection], Awaitable[Result]]
    ) -> tuple[Collection, Result]:
        """Call the engine; once more when the collection was deleted and made anew since it was looked up."""
        try:
            return collection, await call(self._collections.engine_of(collection), collection)
        except CollectionMissing:
            present = await self._collections.get_anew(caller, collection)
        if (present.dimension, present.metric) != (collection.dimension, collection.metric):
            raise CollectionNotFound(collection.name)  # what was asked for is gone; its name now means something else
        try:
            return present, await call(self._collections.engine_of(present), present)
        except CollectionMissing as error:
            raise CollectionNotFound(collection.name) from error


def _common_dimension(body: StoreRequest) -> int | None:
    """Of the vectors given, None where there are only texts. Raises DimensionMismatch where they disagree."""
    common = next((len(item.vector) for item in body.items if item.vector is not None), None)
    for at, item in enumerate(body.items):
        if common is not None and item.vector is not None:
            _require_dimension(body.collection, common, len(item.vector), f"/items/{at}/vector")
    return common


def _require_dimension(name: str, expected: int, given: int, pointer: str) -> None:
    if given != expected:
        raise DimensionMismatch(pointer, given=given, name=name, expected=expected)


def _records(
    collection: Collection, ids: Sequence[str], items: Sequence[StoreItem], embedded: Sequence[Vector]
) -> list[Record]:
    """The items as engines take them, the last of each id."""
    made = iter(embedded)
    records: dict[str, Record] = {}
    for at, (record_id, item) in enumerate(zip(ids, items, strict=True)):
        pointer = f"/items/{at}/vector"
        vector = next(made) if item.vector is None else float32(item.vector, pointer)
        records[record_id] = Record(record_id, placed(vector, collection.metric, pointer), item.text, item.metadata)
    return list(records.values())


async def _best(
    engine: VectorEngine, collection: Collection, vector: Vector, k: int, condition: Condition | None
) -> list[Match]:
    """The first `k` in an order that depends on scores and ids alone, up to 2,048 equal scores at the cut."""
    limit = k + _TIE_MARGIN
    while True:
        found = ranked(await engine.search(collection, vector, limit, condition))
        tie_goes_on = len(found) >= limit and found[-1].score == found[k - 1].score
        if not tie_goes_on or limit >= _TIE_LIMIT:
            return found[:k]
        limit = min(_TIE_LIMIT, limit * 4)


async def _deleted(engine: VectorEngine, collection: Collection, wanted: list[str] | Condition) -> int:
    if isinstance(wanted, list):
        return await engine.delete(collection, list(dict.fromkeys(wanted)))
    return await engine.delete_matching(collection, wanted)
