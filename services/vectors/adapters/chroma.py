"""ChromaDB as an engine."""

import asyncio
import itertools
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
from cachetools import LRUCache

from services.vectors.adapters.chroma_api import ChromaApi
from services.vectors.adapters.chroma_contents import Answer, contents_of, parts_of
from services.vectors.adapters.chroma_metadata import METADATA, indexed_metadata, metadata_of, where_of
from services.vectors.adapters.chroma_paging import count_of, ids_after
from services.vectors.adapters.chroma_search import EXACT_RECORDS, ChromaSearch
from services.vectors.adapters.probing import write_and_read_back
from services.vectors.adapters.read_write import ReadWriteLock
from services.vectors.domain import (
    DENSE_ONLY,
    Capabilities,
    Collection,
    EngineName,
    Match,
    MetadataChanges,
    Metric,
    Record,
    Vector,
)
from services.vectors.errors import CollectionMissing, UnsupportedCapability
from services.vectors.metadata import merged
from services.vectors.room import Room
from services.vectors.terms import Condition

_SPACES = {Metric.COSINE: "cosine", Metric.DOT: "ip", Metric.L2: "l2"}
_BATCH_BYTES = 900_000  # a larger body would hold up the event loop; the server's own bound is 40 MiB

_MARK = "inserted_by"
_HAS_PLACES = "has_places"
_NOTHING: Mapping[str, str] = MappingProxyType({})

Prepared = tuple[Record, dict[str, Any]]


class _Physical(NamedTuple):
    """A collection as ChromaDB knows it; whether all of its records have a place."""

    chroma_id: str
    is_placed: bool


class ChromaEngine:
    """VectorEngine over ChromaDB. A failed upsert may have stored the batches before the failure."""

    name = EngineName.CHROMA
    at_once = 4

    def __init__(self, url: str, timeout_seconds: float, tenant: str | None = None) -> None:
        self._api = ChromaApi(url, timeout_seconds, tenant)
        self._found: LRUCache[str, _Physical] = LRUCache(maxsize=10_000)
        self._changing: WeakValueDictionary[str, ReadWriteLock] = WeakValueDictionary()

    async def create_collection(self, collection: Collection) -> None:
        about = {
            "tenant_id": collection.tenant_id,
            "name": collection.name,
            "created_at": collection.created_at.isoformat(),
            _HAS_PLACES: "yes",
        }
        self._found.pop(collection.id, None)  # the one of health checks may be made again, under the same id
        await self._api.create_collection(_physical_name(collection), _SPACES[collection.metric], about)

    async def drop_collection(self, collection: Collection) -> None:
        self._found.pop(collection.id, None)
        try:
            await self._api.delete_collection(_physical_name(collection))
        except CollectionMissing:
            return

    async def holds(self, collection: Collection) -> bool:
        try:
            await self._api.collection(_physical_name(collection))
        except CollectionMissing:
            return False
        return True

    async def upsert(self, collection: Collection, records: Sequence[Record]) -> None:
        await self._put("upsert", collection, records)

    async def insert(self, collection: Collection, records: Sequence[Record]) -> list[str]:
        """Marked by whom, so that one of several at once finds its mark: ChromaDB says nothing of what it left out."""
        mark = secrets.token_hex(8)
        await self._put("add", collection, records, {_MARK: mark})
        ids = [record.id for record in records]
        stored = set(await self._api.ids(await self._chroma_id(collection), {_MARK: mark}, ids))
        return [one for one in ids if one in stored]

    async def _put(
        self, action: str, collection: Collection, records: Sequence[Record], about: Mapping[str, str] = _NOTHING
    ) -> None:
        chroma_id = await self._chroma_id(collection)
        metadatas = await asyncio.to_thread(lambda: [{**metadata_of(record), **about} for record in records])
        async with self._lock_of(collection).reading():
            await self._put_batches(action, chroma_id, _batches(list(zip(records, metadatas, strict=True))))

    async def _put_batches(self, action: str, chroma_id: str, batches: Iterator[list[Prepared]]) -> None:
        for batch in batches:
            await self._api.put(
                chroma_id,
                action,
                ids=[record.id for record, _ in batch],
                vectors=[record.vector for record, _ in batch],
                # An upsert keeps what it is not given, so a record without text says so.
                documents=[record.text or "" for record, _ in batch],
                metadatas=[metadata for _, metadata in batch],
            )

    async def search(
        self,
        collection: Collection,
        vector: Vector,
        limit: int,
        condition: Condition | None,
        *,
        exact: bool = False,  # noqa: ARG002 - the service asks only who offers it
    ) -> list[Match]:
        where = where_of(condition) if condition else None
        chroma_id = await self._chroma_id(collection)
        return await ChromaSearch(self._api, chroma_id, collection.metric, vector, where).nearest(limit)

    async def search_words(
        self, collection: Collection, tokens: Sequence[int], limit: int, condition: Condition | None
    ) -> list[Match]:
        """Its server keeps no words that it could score. Raises UnsupportedCapability."""
        del collection, tokens, limit, condition
        raise UnsupportedCapability("/mode", engine=self.name, capability="'keyword' search")

    async def find(self, collection: Collection, record_id: str) -> Record | None:
        wanted = ["documents", "metadatas", "embeddings"]
        found = await self._found_by_id(await self._chroma_id(collection), [record_id], wanted, Room())
        return found.get(record_id)

    async def page(
        self,
        collection: Collection,
        after: str | None,
        limit: int,
        condition: Condition | None,
        *,
        with_vectors: bool,
    ) -> list[Record]:
        chroma_id, is_placed = await self._physical(collection)
        where = where_of(condition) if condition else None
        wanted = ["documents", "metadatas", *(["embeddings"] if with_vectors else [])]
        page: list[Record] = []
        room = Room()
        async for ids in ids_after(self._api, chroma_id, after, limit, where, is_placed=is_placed):
            left = iter(ids)
            # What is deleted in between is made up for by those that follow.
            while len(page) < limit and (some := list(itertools.islice(left, limit - len(page)))):
                there = await self._found_by_id(chroma_id, some, wanted, room)
                page += [there[one] for one in some if one in there]
            if len(page) == limit:
                break
        return page

    async def _found_by_id(
        self, chroma_id: str, ids: Sequence[str], wanted: Sequence[str], room: Room
    ) -> dict[str, Record]:
        """Those that are there. Raises AnswerTooLarge."""
        found: dict[str, Record] = {}
        async for part in parts_of(self._api, chroma_id, ids, wanted):
            found |= await asyncio.to_thread(_records, part, room)
        return found

    async def merge_metadata(self, collection: Collection, record_id: str, changes: MetadataChanges) -> Record | None:
        """Read, merge, write. ChromaDB has nothing that keeps two apart: here a lock does, within this process."""
        chroma_id = await self._chroma_id(collection)
        async with self._lock_of(collection).writing():
            found = await self.find(collection, record_id)
            if found is None:
                return None
            made = replace(found, metadata=merged(found.metadata, changes))
            await self._api.amend(chroma_id, record_id, indexed_metadata(made.metadata))
            return made

    async def delete(self, collection: Collection, ids: Sequence[str]) -> int:
        chroma_id = await self._chroma_id(collection)
        there = await self._api.ids(chroma_id, None, ids)
        if there:
            await self._api.delete(chroma_id, ids=there)
        return len(there)

    async def delete_matching(self, collection: Collection, condition: Condition) -> int:
        return await self._api.delete(await self._chroma_id(collection), where=where_of(condition))

    async def count(self, collection: Collection, condition: Condition | None = None) -> int:
        chroma_id, is_placed = await self._physical(collection)
        if condition is None:
            return await self._api.count(chroma_id)
        return await count_of(self._api, chroma_id, where_of(condition), is_placed=is_placed)

    async def _chroma_id(self, collection: Collection) -> str:
        return (await self._physical(collection)).chroma_id

    async def _physical(self, collection: Collection) -> _Physical:
        if (known := self._found.get(collection.id)) is None:
            chroma_id, about = await self._api.collection(_physical_name(collection))
            known = self._found[collection.id] = _Physical(chroma_id, _HAS_PLACES in about)
        return known

    def _lock_of(self, collection: Collection) -> ReadWriteLock:
        """Those who store read, as it were: they may be many. Who merges metadata is alone."""
        return self._changing.setdefault(collection.id, ReadWriteLock())

    def capabilities(self) -> Capabilities:
        return Capabilities(
            backend="ChromaDB server",
            modes=DENSE_ONLY,
            exact=False,
            exact_on_request=False,
            exact_up_to=EXACT_RECORDS,
        )

    async def check(self) -> None:
        await write_and_read_back(self)

    async def aclose(self) -> None:
        await self._api.aclose()


def _records(found: Answer, room: Room) -> dict[str, Record]:
    vectors = found.get("embeddings") or [()] * len(found["ids"])
    rows = zip(found["ids"], vectors, contents_of(found, room), strict=True)
    return {one: Record(one, np.array(vector, dtype=np.float32), *content) for one, vector, content in rows}


def _physical_name(collection: Collection) -> str:
    return f"sutazai-{collection.id}"


def _batches(prepared: Sequence[Prepared]) -> Iterator[list[Prepared]]:
    batch: list[Prepared] = []
    size = 0
    for record, metadata in prepared:
        # Base64 takes four bytes for three; terms repeat the metadata.
        more = record.vector.nbytes * 4 // 3 + len((record.text or "").encode()) + 3 * len(metadata[METADATA])
        if batch and size + more > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append((record, metadata))
        size += more
    yield batch
