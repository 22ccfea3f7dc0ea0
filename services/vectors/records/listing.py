"""The use case of going through a collection: a page of records, and how many there are."""

from dataclasses import dataclass

import orjson

from services.vectors.collections.calling import on_engine
from services.vectors.collections.domain import Named
from services.vectors.collections.service import CollectionService
from services.vectors.domain import Collection, Record
from services.vectors.errors import FilterInvalid
from services.vectors.ports import VectorEngine
from services.vectors.records.filters import parse
from services.vectors.terms import Condition
from shared.identity import Caller
from shared.resources import CursorCodec, Slice

_POINTER = "query/filter"


@dataclass(frozen=True, slots=True)
class Listing:
    """What is asked for; `filter` is JSON."""

    limit: int
    cursor: str | None
    filter: str | None
    with_vectors: bool
    with_count: bool


@dataclass(frozen=True, slots=True)
class Listed:
    records: Slice[Record]
    count: int | None


class ListingService:
    """Built once, from what knows the collections."""

    def __init__(self, collections: CollectionService, cursors: CursorCodec) -> None:
        self._collections = collections
        self._cursors = cursors

    async def list_page(self, caller: Caller, name: str, asked: Listing) -> Listed:
        """Records that meet the filter, in an order that depends on their ids alone, so it never changes.

        Raises FilterInvalid, CollectionNotFound, UnsupportedCapability, Invalid for another list's cursor.
        """
        condition = None if asked.filter is None else _parsed(asked.filter)
        named = Named.to_read(name)
        collection = await self._collections.get_ready(caller, named)

        async def read(engine: VectorEngine, at: Collection) -> Listed:
            records = await self._slice(engine, at, asked, condition)
            return Listed(records, await engine.count(at, condition) if asked.with_count else None)

        _, listed = await on_engine(self._collections, caller, named, collection, read)
        return listed

    async def _slice(
        self, engine: VectorEngine, collection: Collection, asked: Listing, condition: Condition | None
    ) -> Slice[Record]:
        return await self._cursors.slice(
            lambda after, most: engine.page(collection, after, most, condition, with_vectors=asked.with_vectors),
            key=lambda record: record.id,
            scope=["vectors.records", collection.tenant_id, collection.id, asked.filter],
            limit=asked.limit,
            cursor=asked.cursor,
        )


def _parsed(text: str) -> Condition:
    try:
        data = orjson.loads(text)
    except ValueError as error:
        raise FilterInvalid.field(_POINTER, "filter_form", "Must be JSON.") from error
    return parse(data, _POINTER)
