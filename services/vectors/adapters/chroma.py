"""ChromaDB as an engine."""

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from cachetools import LRUCache

from services.vectors.adapters.chroma_api import ChromaApi
from services.vectors.domain import Capabilities, Collection, EngineName, Match, Metric, Record, SearchMode, Vector
from services.vectors.errors import CollectionMissing, UnsupportedCapability
from services.vectors.filters import Filter, Op
from services.vectors.geometry import score
from services.vectors.terms import (
    AllOf,
    AnyOf,
    Condition,
    HasAnyTerm,
    HasTerm,
    NoneOf,
    NumberPast,
    has_numbers,
    lowered,
    terms_of,
)

_SPACES = {Metric.COSINE: "cosine", Metric.DOT: "ip", Metric.L2: "l2"}
_TERMS, _METADATA, _HAS_TEXT = "terms", "metadata", "has_text"
_BATCH_BYTES = 900_000  # a larger body would hold up the event loop; the server's own bound is 40 MiB
_ABSENT = "!"  # a term no record has
_MAX_COMPARISONS = 500  # SQLite under it parses expressions of a thousand

Prepared = tuple[Record, dict[str, Any]]


class ChromaEngine:
    """VectorEngine over ChromaDB. A failed upsert may have stored the batches before the failure."""

    name = EngineName.CHROMA

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._api = ChromaApi(url, timeout_seconds)
        self._ids: LRUCache[str, str] = LRUCache(maxsize=10_000)

    async def create_collection(self, collection: Collection) -> None:
        about = {
            "tenant_id": collection.tenant_id,
            "name": collection.name,
            "created_at": collection.created_at.isoformat(),
        }
        await self._api.create_collection(_physical_name(collection), _SPACES[collection.metric], about)

    async def drop_collection(self, collection: Collection) -> None:
        self._ids.pop(collection.id, None)
        try:
            await self._api.delete_collection(_physical_name(collection))
        except CollectionMissing:
            return

    async def upsert(self, collection: Collection, records: Sequence[Record]) -> None:
        chroma_id = await self._chroma_id(collection)
        metadatas = await asyncio.to_thread(lambda: [_metadata_of(record) for record in records])
        for batch in _batches(list(zip(records, metadatas, strict=True))):
            await self._api.upsert(
                chroma_id,
                ids=[record.id for record, _ in batch],
                vectors=[record.vector for record, _ in batch],
                # An upsert keeps what it is not given, so a record without text says so.
                documents=[record.text or "" for record, _ in batch],
                metadatas=[metadata for _, metadata in batch],
            )

    async def search(self, collection: Collection, vector: Vector, limit: int, condition: Filter | None) -> list[Match]:
        where = _where(condition) if condition else None
        found = await self._api.query(await self._chroma_id(collection), vector, limit, where)
        rows = zip(found["ids"][0], found["distances"][0], found["documents"][0], found["metadatas"][0], strict=True)
        return [
            Match(record_id, _score(collection.metric, distance), *_content(text, kept))
            for record_id, distance, text, kept in rows
        ]

    async def find(self, collection: Collection, record_id: str) -> Record | None:
        found = await self._api.get(
            await self._chroma_id(collection), [record_id], ["documents", "metadatas", "embeddings"]
        )
        if not found["ids"]:
            return None
        text, metadata = _content(found["documents"][0], found["metadatas"][0])
        return Record(record_id, np.array(found["embeddings"][0], dtype=np.float32), text, metadata)

    async def delete(self, collection: Collection, ids: Sequence[str]) -> int:
        chroma_id = await self._chroma_id(collection)
        there = (await self._api.get(chroma_id, ids, []))["ids"]
        if there:
            await self._api.delete(chroma_id, ids=there)
        return len(there)

    async def delete_matching(self, collection: Collection, condition: Filter) -> int:
        return await self._api.delete(await self._chroma_id(collection), where=_where(condition))

    async def count(self, collection: Collection) -> int:
        return await self._api.count(await self._chroma_id(collection))

    async def _chroma_id(self, collection: Collection) -> str:
        if (known := self._ids.get(collection.id)) is None:
            known = self._ids[collection.id] = await self._api.collection_id(_physical_name(collection))
        return known

    def capabilities(self) -> Capabilities:
        return Capabilities(backend="ChromaDB server", modes=(SearchMode.DENSE,), exact=False)

    async def check(self) -> None:
        await self._api.heartbeat()

    async def aclose(self) -> None:
        await self._api.aclose()


def _physical_name(collection: Collection) -> str:
    return f"sutazai-{collection.id}"


def _batches(prepared: Sequence[Prepared]) -> Iterator[list[Prepared]]:
    batch: list[Prepared] = []
    size = 0
    for record, metadata in prepared:
        # Base64 takes four bytes for three; terms repeat the metadata.
        more = record.vector.nbytes * 4 // 3 + len(record.text or "") + 3 * len(metadata[_METADATA])
        if batch and size + more > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append((record, metadata))
        size += more
    yield batch


def _metadata_of(record: Record) -> dict[str, Any]:
    """ChromaDB's upsert merges metadata: a number of a replaced record stays behind, so its filter asks for a term too.

    A list may not be empty, and its numbers cannot be compared, so the least and the greatest stand beside it.
    """
    indexed = terms_of(record.metadata)
    kept: dict[str, Any] = {
        _TERMS: indexed.terms or [_ABSENT],
        _METADATA: orjson.dumps(record.metadata).decode(),
        _HAS_TEXT: record.text is not None,
    }
    for key, numbers in indexed.numbers.items():
        kept[f"least.{key}"], kept[f"greatest.{key}"] = min(numbers), max(numbers)
    return kept


def _content(text: str, kept: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    return (text if kept[_HAS_TEXT] else None), orjson.loads(kept[_METADATA])


def _score(metric: Metric, distance: float) -> float:
    """ChromaDB answers one less the cosine or the inner product, or the squared Euclidean distance."""
    return score(metric, math.sqrt(max(0.0, distance)) if metric is Metric.L2 else 1.0 - distance)


def _where(condition: Filter) -> dict[str, Any]:
    """Raises UnsupportedCapability for a filter larger than ChromaDB's own bound."""
    wanted = lowered(condition)
    if _comparisons(wanted) > _MAX_COMPARISONS:
        raise UnsupportedCapability(
            "/filter", engine=EngineName.CHROMA, capability=f"filters of more than {_MAX_COMPARISONS} values"
        )
    return where_of(wanted)


def _comparisons(condition: Condition) -> int:
    match condition:
        case AllOf(of) | AnyOf(of):
            return sum(map(_comparisons, of))
        case NoneOf(of):
            return _comparisons(of)
        case HasAnyTerm(terms):
            return len(terms)
        case _:
            return 2


def where_of(condition: Condition, *, negated: bool = False) -> dict[str, Any]:
    """`condition` in ChromaDB's language, which has no negation: it is pushed down to the leaves."""
    match condition:
        case NoneOf(of):
            return where_of(of, negated=not negated)
        case AllOf(of) | AnyOf(of):
            conjunction = isinstance(condition, AllOf) is not negated
            return _joined("$and" if conjunction else "$or", [where_of(part, negated=negated) for part in of])
        case HasTerm(term):
            return {_TERMS: {"$not_contains" if negated else "$contains": term}}
        case HasAnyTerm(terms):
            return where_of(AnyOf(tuple(map(HasTerm, terms))), negated=negated)
        case NumberPast(key, op, bound):
            return _past(key, op, bound, negated=negated)


def _past(key: str, op: Op, bound: float, *, negated: bool) -> dict[str, Any]:
    numeric = where_of(HasTerm(has_numbers(key)), negated=negated)
    edge = f"greatest.{key}" if op in (Op.GT, Op.GTE) else f"least.{key}"
    opposite = {Op.GT: Op.LTE, Op.GTE: Op.LT, Op.LT: Op.GTE, Op.LTE: Op.GT}
    compared = {edge: {f"${opposite[op] if negated else op}": bound}}
    return _joined("$or" if negated else "$and", [numeric, compared])


def _joined(word: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return parts[0] if len(parts) == 1 else {word: parts}
