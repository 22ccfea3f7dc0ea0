"""Qdrant without a server: Edge, its storage engine as a library, in a process of its own.

It searches exactly: every vector that meets the filter is compared. That is 0.15 ms per thousand vectors of 384
dimensions, and never wrong; a collection that outgrows it belongs on a server.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.vectors.adapters.edge_process import EdgeProcess
from services.vectors.adapters.probing import write_and_read_back
from services.vectors.adapters.qdrant_payload import (
    MAX_INDEXED_NUMBERS,
    TERMS,
    content_of,
    number_path,
    payload_of,
    physical_name,
    point_id,
)
from services.vectors.domain import Capabilities, Collection, EngineName, Match, Record, SearchMode, Vector
from services.vectors.geometry import score
from services.vectors.terms import AllOf, AnyOf, Condition, HasAnyTerm, HasTerm, NoneOf, NumberPast

CAPABILITIES: Final = Capabilities(
    backend="Qdrant Edge, in a process of this service", modes=(SearchMode.DENSE,), exact=True
)


class QdrantEdgeEngine:
    """VectorEngine over Edge."""

    name = EngineName.QDRANT

    def __init__(self, root: Path, timeout_seconds: float) -> None:
        self._edge = EdgeProcess(root, timeout_seconds)

    async def create_collection(self, collection: Collection) -> None:
        await self._edge.call(
            _command("create", collection)
            | {"dimension": collection.dimension, "metric": collection.metric, "indexes": {TERMS: "keyword"}}
        )

    async def drop_collection(self, collection: Collection) -> None:
        await self._edge.call(_command("drop", collection))

    async def holds(self, collection: Collection) -> bool:
        answer, _ = await self._edge.call(_command("holds", collection))
        return bool(answer["holds"])

    async def upsert(self, collection: Collection, records: Sequence[Record]) -> None:
        points, blob = await asyncio.to_thread(_points, records)
        numbers = dict.fromkeys(number_path(key) for point in points for key in point["payload"]["numbers"])
        most = 1 + MAX_INDEXED_NUMBERS  # the index of the terms counts
        await self._edge.call(
            _command("upsert", collection) | {"points": points, "numbers": list(numbers), "most": most}, blob
        )

    async def search(
        self, collection: Collection, vector: Vector, limit: int, condition: Condition | None
    ) -> list[Match]:
        wanted = _wanted(condition) if condition else None
        answer, _ = await self._edge.call(
            _command("search", collection) | {"limit": limit, "filter": wanted}, vector.tobytes()
        )
        return [_match(collection, raw, payload) for raw, payload in answer["hits"]]

    async def find(self, collection: Collection, record_id: str) -> Record | None:
        answer, blob = await self._edge.call(_command("find", collection) | {"point": point_id(record_id)})
        if "payload" not in answer:
            return None
        found_id, text, metadata = content_of(answer["payload"])
        return Record(found_id, np.frombuffer(blob, dtype=np.float32), text, metadata)

    async def delete(self, collection: Collection, ids: Sequence[str]) -> int:
        return await self._delete(collection, {"must": [{"has_id": [point_id(one) for one in ids]}]})

    async def delete_matching(self, collection: Collection, condition: Condition) -> int:
        return await self._delete(collection, _wanted(condition))

    async def _delete(self, collection: Collection, wanted: dict[str, Any]) -> int:
        answer, _ = await self._edge.call(_command("delete", collection) | {"filter": wanted})
        return int(answer["count"])

    async def count(self, collection: Collection) -> int:
        answer, _ = await self._edge.call(_command("count", collection))
        return int(answer["count"])

    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    async def check(self) -> None:
        await write_and_read_back(self)

    async def aclose(self) -> None:
        await self._edge.aclose()


def _command(do: str, collection: Collection) -> dict[str, Any]:
    return {"do": do, "name": physical_name(collection.id)}


def _points(records: Sequence[Record]) -> tuple[list[dict[str, Any]], bytes]:
    points = [{"id": point_id(record.id), "payload": payload_of(record)} for record in records]
    return points, np.stack([record.vector for record in records]).tobytes()


def _match(collection: Collection, raw: float | None, payload: dict[str, Any]) -> Match:
    record_id, text, metadata = content_of(payload)
    # Edge gives the Euclidean distance itself, where lower is nearer, as the server does.
    return Match(record_id, score(collection.metric, raw), text, metadata)


def _wanted(condition: Condition) -> dict[str, Any]:
    """`condition` as Qdrant's own JSON, of which the process makes Edge's objects."""
    match condition:
        case AllOf(of):
            return {"must": [_wanted(part) for part in of]}
        case AnyOf(of):
            return {"should": [_wanted(part) for part in of]}
        case NoneOf(of):
            return {"must_not": [_wanted(of)]}
        case HasTerm(term):
            return {"must": [{"key": TERMS, "match": {"value": term}}]}
        case HasAnyTerm(terms):
            return {"must": [{"key": TERMS, "match": {"any": terms}}]}
        case NumberPast(key, op, bound):
            return {"must": [{"key": number_path(key), "range": {op.value: bound}}]}
