"""The use cases around records: storing, searching, reading and deleting them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from services.vectors.collections import CollectionService
from services.vectors.domain import Collection, Match, Metadata, Record, SearchMode, Vector, ranked
from services.vectors.errors import (
    CollectionMissing,
    CollectionNotFound,
    DimensionMismatch,
    RecordNotFound,
    UnsupportedCapability,
)
from services.vectors.geometry import float32, placed
from services.vectors.ports import Embedder, VectorEngine
from services.vectors.terms import Condition
from shared.schemas import new_id
from shared.telemetry import monotonic_ms

Numbers = NDArray[np.float64]
# Ties have no order on any engine, so a few more than k are fetched; when the tie reaches past them, many more.
_TIE_MARGIN = 8
_TIE_LIMIT = 2048

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Item:
    """What a caller stores: text, vector or both; a text alone is embedded, an id is made where there is none."""

    id: str | None
    text: str | None
    vector: Numbers | None
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Stored:
    """`ids` are those of the items, in their order; `stored` counts an id given twice once."""

    collection: Collection
    stored: int
    ids: list[str]


@dataclass(frozen=True, slots=True)
class Found:
    collection: Collection
    results: list[Match]
    took_ms: float


@dataclass(frozen=True, slots=True)
class Deleted:
    collection: Collection
    deleted: int


class RecordService:
    """Everything engines may not be given is refused here, so that all of them refuse alike."""

    def __init__(self, collections: CollectionService, embedder: Embedder) -> None:
        self._collections = collections
        self._embedder = embedder

    async def store(self, tenant_id: str, name: str, items: Sequence[Item]) -> Stored:
        """Store `items`, in a collection made for them where there is none; the last of an id in them wins.

        Raises DimensionMismatch, VectorInvalid, CollectionFull.
        """
        given = next((len(item.vector) for item in items if item.vector is not None), None)
        collection = await self._collections_for(tenant_id, name, items, given)
        self._check_dimensions(collection, items)
        ids = [item.id or new_id() for item in items]
        embedded = await self._embed([item.text or "" for item in items if item.vector is None])
        # Thousands of conversions: on a thread, so that other requests go on between them.
        records = await asyncio.to_thread(_records, collection, ids, items, embedded)
        collection, _ = await self._on(collection, lambda engine, at: engine.upsert(at, records))
        return Stored(collection, len(records), ids)

    async def _collections_for(
        self, tenant_id: str, name: str, items: Sequence[Item], dimension: int | None
    ) -> Collection:
        """A missing collection takes the dimension of the vectors given; nothing is made for items that disagree."""
        if dimension is not None:
            _check_agreement(name, items, dimension)
        return await self._collections.get_or_create(tenant_id, name, dimension)

    def _check_dimensions(self, collection: Collection, items: Sequence[Item]) -> None:
        for at, item in enumerate(items):
            size = self._embedder.dimension if item.vector is None else len(item.vector)
            member = "text" if item.vector is None else "vector"
            _require_dimension(collection.name, collection.dimension, size, f"/items/{at}/{member}")

    async def _embed(self, texts: list[str]) -> list[Vector]:
        return await self._embedder.embed_passages(texts) if texts else []

    async def search(
        self,
        tenant_id: str,
        name: str,
        *,
        query: str | None,
        vector: Numbers | None,
        k: int,
        condition: Condition | None,
        mode: SearchMode,
    ) -> Found:
        """The `k` best, equal scores by id. Exactly one of `query` and `vector` is given.

        Raises CollectionNotFound, UnsupportedCapability, DimensionMismatch, VectorInvalid.
        """
        started = time.perf_counter()
        collection = await self._collections.get(tenant_id, name)
        if mode not in self._collections.engine_of(collection).capabilities().modes:
            raise UnsupportedCapability("/mode", engine=collection.engine, capability=f"{mode.value!r} search")
        point = await self._point(collection, query, vector)
        collection, results = await self._on(collection, lambda engine, at: _best(engine, at, point, k, condition))
        return Found(collection, results, round(monotonic_ms(started), 2))

    async def _point(self, collection: Collection, query: str | None, vector: Numbers | None) -> Vector:
        if vector is not None:
            _require_dimension(collection.name, collection.dimension, len(vector), "/vector")
            return placed(float32(vector, "/vector"), collection.metric, "/vector")
        _require_dimension(collection.name, collection.dimension, self._embedder.dimension, "/query")
        return placed(await self._embedder.embed_query(query or ""), collection.metric, "/query")

    async def get(self, tenant_id: str, name: str, record_id: str) -> Record:
        """Raises CollectionNotFound, RecordNotFound."""
        collection = await self._collections.get(tenant_id, name)
        _, record = await self._on(collection, lambda engine, at: engine.find(at, record_id))
        if record is None:
            raise RecordNotFound(name, record_id)
        return record

    async def delete(self, tenant_id: str, name: str, wanted: list[str] | Condition) -> Deleted:
        """Delete by ids or by filter; what is not there is not counted. Raises CollectionNotFound."""
        collection = await self._collections.get(tenant_id, name)
        collection, deleted = await self._on(collection, lambda engine, at: _delete(engine, at, wanted))
        return Deleted(collection, deleted)

    async def delete_one(self, tenant_id: str, name: str, record_id: str) -> None:
        """Raises CollectionNotFound, RecordNotFound."""
        if not (await self.delete(tenant_id, name, [record_id])).deleted:
            raise RecordNotFound(name, record_id)

    async def _on(
        self, collection: Collection, call: Callable[[VectorEngine, Collection], Awaitable[Result]]
    ) -> tuple[Collection, Result]:
        """Call the engine; once more when the collection was deleted and made anew since it was looked up."""
        try:
            return collection, await call(self._collections.engine_of(collection), collection)
        except CollectionMissing:
            present = await self._collections.refreshed(collection)
        if (present.dimension, present.metric) != (collection.dimension, collection.metric):
            raise CollectionNotFound(collection.name)  # what was asked for is gone; its name now means something else
        try:
            return present, await call(self._collections.engine_of(present), present)
        except CollectionMissing as error:
            raise CollectionNotFound(collection.name) from error


def _check_agreement(name: str, items: Sequence[Item], dimension: int) -> None:
    for at, item in enumerate(items):
        if item.vector is not None:
            _require_dimension(name, dimension, len(item.vector), f"/items/{at}/vector")


def _require_dimension(name: str, expected: int, given: int, pointer: str) -> None:
    if given != expected:
        raise DimensionMismatch(pointer, given=given, name=name, expected=expected)


def _records(
    collection: Collection, ids: Sequence[str], items: Sequence[Item], embedded: Sequence[Vector]
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


async def _delete(engine: VectorEngine, collection: Collection, wanted: list[str] | Condition) -> int:
    if isinstance(wanted, list):
        return await engine.delete(collection, list(dict.fromkeys(wanted)))
    return await engine.delete_matching(collection, wanted)
