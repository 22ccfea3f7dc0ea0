"""Qdrant without a server: Edge, its storage engine as a library, in a process of its own.

It searches exactly: every vector that meets the filter is compared. That is 0.15 ms per thousand vectors of 384
dimensions, and never wrong; a collection that outgrows it belongs on a server.
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from services.vectors.adapters.edge_process import EdgeProcess, EdgeWordless
from services.vectors.adapters.edge_protocol import Message
from services.vectors.adapters.probing import write_and_read_back
from services.vectors.adapters.qdrant_payload import (
    MAX_INDEXED_NUMBERS,
    METADATA,
    NUMBERS,
    RETURNED,
    TERMS,
    TEXT,
    content_of,
    merge_while_same,
    metadata_payload,
    number_path,
    payload_of,
    physical_name,
    point_id,
)
from services.vectors.adapters.words_late import LateWords
from services.vectors.domain import (
    ALL_MODES,
    MAX_ANSWER_BYTES,
    Capabilities,
    Collection,
    EngineName,
    Match,
    Metadata,
    MetadataChanges,
    Record,
    Vector,
    comparable,
)
from services.vectors.geometry import score
from services.vectors.terms import AllOf, AnyOf, Condition, HasAnyTerm, HasTerm, NoneOf, NumberPast
from services.vectors.words import words_of

DEFAULT_MEMORY_BYTES: Final = 2 * 2**30
_SMALL_BYTES = 256 * 2**10  # of JSON, read in a millisecond

CAPABILITIES: Final = Capabilities(
    backend="Qdrant Edge, in a process of this service", modes=ALL_MODES, exact=True, exact_on_request=True
)


class QdrantEdgeEngine:
    """VectorEngine over Edge."""

    name = EngineName.QDRANT
    at_once = 4

    def __init__(
        self,
        root: Path,
        timeout_seconds: float,
        *,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        idle_seconds: float = 0.0,
    ) -> None:
        """`memory_bytes` are of the vectors of all collections that are open at once.

        They are closed after `idle_seconds` without use; at 0 only for others.
        """
        self._edge = EdgeProcess(root, timeout_seconds, memory_bytes)
        self._idle_seconds = idle_seconds
        self._late_words = LateWords(self._give_words, at_once=1)

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
        await self._put("upsert", collection, records)

    async def insert(self, collection: Collection, records: Sequence[Record]) -> list[str]:
        new = set((await self._put("insert", collection, records))["new"])
        return [record.id for record in records if point_id(record.id) in new]

    async def _put(self, do: str, collection: Collection, records: Sequence[Record]) -> Message:
        points, words, blob = await asyncio.to_thread(_points, records)
        message = {"points": points, "words": words} | _numbers([point["payload"] for point in points])
        answer, _ = await self._edge.call(_command(do, collection) | message, blob)
        return answer

    async def search(
        self,
        collection: Collection,
        vector: Vector,
        limit: int,
        condition: Condition | None,
        *,
        exact: bool = False,  # noqa: ARG002 - every search is
    ) -> list[Match]:
        message = _command("search", collection) | _asked(limit, condition)
        answer, contents = await self._edge.call(message, vector.tobytes())
        # Edge gives the Euclidean distance itself, where lower is nearer, as the server does.
        return await _matches(answer, contents, lambda raw: score(collection.metric, raw))

    async def search_words(
        self, collection: Collection, tokens: Sequence[int], limit: int, condition: Condition | None
    ) -> list[Match]:
        message = _command("search_words", collection) | {"tokens": list(tokens)} | _asked(limit, condition)
        try:
            answer, contents = await self._edge.call(message)
        except EdgeWordless as error:
            raise self._late_words.missing(collection) from error
        return await _matches(answer, contents, comparable)

    async def _give_words(self, collection: Collection) -> None:
        """In small steps, between which the process does what else it is asked for."""
        after: str | None = None
        while True:
            command = _command("give_words", collection) | {"field": TEXT, "after": after}
            answer, _ = await self._edge.call(command)
            after = answer["after"]
            if after is None:
                return

    async def find(self, collection: Collection, record_id: str) -> Record | None:
        answer, blob = await self._edge.call(_command("find", collection) | {"point": point_id(record_id)})
        if "payload" not in answer:
            return None
        return _record(answer["payload"], np.frombuffer(blob, dtype=np.float32))

    async def page(
        self,
        collection: Collection,
        after: str | None,
        limit: int,
        condition: Condition | None,
        *,
        with_vectors: bool,
    ) -> list[Record]:
        start = None if after is None else point_id(after)
        asked = {"after": start, "vectors": with_vectors} | _asked(limit, condition)
        answer, blob = await self._edge.call(_command("page", collection) | asked)
        sizes, size = answer["sizes"], collection.dimension if with_vectors else 0
        vectors = np.frombuffer(blob[sum(sizes) :], dtype=np.float32).reshape(len(sizes), size)
        contents = await _apart(sizes, blob)
        return [Record(one[0], vector, *one[1:]) for one, vector in zip(contents, vectors, strict=True)]

    async def merge_metadata(self, collection: Collection, record_id: str, changes: MetadataChanges) -> Record | None:
        """Read, merge, and write if it still is what was read: the process does one thing at a time."""
        return await merge_while_same(
            changes,
            lambda: self.find(collection, record_id),
            lambda was, made: self._amend(collection, record_id, was, made),
        )

    async def _amend(self, collection: Collection, record_id: str, was: str, made: Metadata) -> bool:
        payload = metadata_payload(made)
        asked = {"point": point_id(record_id), "key": METADATA, "was": was, "payload": payload}
        answer, _ = await self._edge.call(_command("amend", collection) | asked | _numbers([payload]))
        return bool(answer["amended"])

    async def delete(self, collection: Collection, ids: Sequence[str]) -> int:
        return await self._delete(collection, {"must": [{"has_id": [point_id(one) for one in ids]}]})

    async def delete_matching(self, collection: Collection, condition: Condition) -> int:
        return await self._delete(collection, _wanted(condition))

    async def _delete(self, collection: Collection, wanted: dict[str, Any]) -> int:
        answer, _ = await self._edge.call(_command("delete", collection) | {"filter": wanted})
        return int(answer["count"])

    async def count(self, collection: Collection, condition: Condition | None = None) -> int:
        answer, _ = await self._edge.call(_command("count", collection) | _filtered(condition))
        return int(answer["count"])

    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    async def check(self) -> None:
        await write_and_read_back(self)

    async def close_idle(self) -> None:
        """What nobody has used for a while is closed; a process that does not run is not started for it."""
        if self._idle_seconds and self._edge.runs:
            await self._edge.call({"do": "close_idle", "seconds": self._idle_seconds})

    async def aclose(self) -> None:
        await self._late_words.aclose()
        await self._edge.aclose()


def _command(do: str, collection: Collection) -> dict[str, Any]:
    return {"do": do, "name": physical_name(collection.id)}


def _asked(limit: int, condition: Condition | None) -> dict[str, Any]:
    """Of whatever reads records: which, how many, and what of each."""
    return {"limit": limit, "returned": RETURNED, "bytes": MAX_ANSWER_BYTES} | _filtered(condition)


def _filtered(condition: Condition | None) -> dict[str, Any]:
    return {"filter": _wanted(condition) if condition else None}


def _numbers(payloads: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What is said of numeric fields, which get an index when they are met first."""
    paths = dict.fromkeys(number_path(key) for payload in payloads for key in payload[NUMBERS])
    return {"numbers": list(paths), "most": 1 + MAX_INDEXED_NUMBERS}  # the index of the terms counts


def _record(payload: dict[str, Any], vector: Vector) -> Record:
    record_id, text, metadata = content_of(payload)
    return Record(record_id, vector, text, metadata)


def _points(records: Sequence[Record]) -> tuple[list[dict[str, Any]], list[int], bytes]:
    """The points, how many words each has, and one after the other their vectors, all tokens and all weights."""
    points = [{"id": point_id(record.id), "payload": payload_of(record)} for record in records]
    words = [words_of(record.text) for record in records]
    numbers = [
        np.stack([record.vector for record in records]),
        np.concatenate([some.tokens for some in words]),
        np.concatenate([some.weights for some in words]),
    ]
    return points, [len(some) for some in words], b"".join(some.tobytes() for some in numbers)


async def _matches(answer: Message, contents: bytes, value: Callable[[float], float]) -> list[Match]:
    found = zip(await _apart(answer["sizes"], contents), answer["scores"], strict=True)
    return [Match(content[0], value(raw), *content[1:]) for content, raw in found]


async def _apart(sizes: list[int], contents: bytes) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Id, text and metadata of records one after the other; of many, or large ones, on a thread."""

    def read() -> list[tuple[str, str | None, dict[str, Any]]]:
        whole, ends = memoryview(contents), itertools.accumulate(sizes)
        return [content_of(orjson.loads(whole[end - size : end])) for size, end in zip(sizes, ends, strict=True)]

    return read() if sum(sizes) <= _SMALL_BYTES else await asyncio.to_thread(read)


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
