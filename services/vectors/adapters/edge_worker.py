"""The process in which Qdrant Edge runs: `python -m services.vectors.adapters.edge_worker DIRECTORY`.

Edge's Python binding holds the interpreter lock through every call (15 ms for a search over 100,000 vectors, seconds to
compact), so inside the service it would stop the event loop, whatever the thread. It runs here instead, one command at
a time, which also makes it the one writer each shard may have. The process ends when its standard input does.
"""

import array
import os
import shutil
import sys
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import orjson
import qdrant_edge as edge

from services.vectors.adapters.edge_protocol import HEADER_BYTES, Message, encode, lengths

_OPEN_SHARDS = 64  # each costs a thread, a few descriptors and about a megabyte
_LOCK_WAIT_SECONDS = 5.0
_COMPACT_AFTER = 20_000  # replaced points leave their old payload behind until a shard is compacted
_DISTANCES = {"cosine": edge.Distance.Cosine, "dot": edge.Distance.Dot, "l2": edge.Distance.Euclid}
_INDEXES = {"keyword": edge.PayloadSchemaType.Keyword, "float": edge.PayloadSchemaType.Float}
# Edge searches exactly: building its graph would stop every other search for half a minute per 100,000 vectors.
_NO_GRAPH = edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000)
_WRITES = frozenset({"upsert", "insert", "amend", "delete"})
_EXACT = edge.SearchParams(exact=True)
_DENSE, _WORDS = "", "words"
# Rarity among the records there are: without a filter, one of all, deleted ones would count until a shard is compacted.
_RARITY = edge.SearchParams(idf=edge.IdfParams(corpus=edge.Filter()))


class Missing(Exception):
    """There is no such shard."""


class Wordless(Exception):
    """The shard was made before words were kept."""


class Shard:
    """One open collection."""

    def __init__(self, shard: edge.EdgeShard, *, has_words: bool) -> None:
        self._shard = shard
        self._has_words = has_words
        self.indexed = set(self._shard.info().payload_schema)
        self._written = 0

    def upsert(self, points: list[Message], vectors: list[Any], wanted: list[str], most: int) -> None:
        """Durable when it returns: the write-ahead log is on disk. Numeric fields seen first get their index."""
        self._index_numbers(wanted, most)
        self._write(
            edge.UpdateOperation.upsert_points(
                [
                    edge.Point(point["id"], self._placed(vector), point["payload"])
                    for point, vector in zip(points, vectors, strict=True)
                ]
            )
        )
        self._written += len(points)

    def _placed(self, vector: dict[str, Any]) -> Any:
        return vector if self._has_words else vector[_DENSE]

    def insert(self, points: list[Message], vectors: list[Any], wanted: list[str], most: int) -> list[str]:
        """As `upsert`, but for points that are there already; the ids of the others."""
        there = {
            str(record.id) for record in self._shard.retrieve([UUID(point["id"]) for point in points], False, False)
        }
        new = [at for at, point in enumerate(points) if point["id"] not in there]
        if new:
            self.upsert([points[at] for at in new], [vectors[at] for at in new], wanted, most)
        return [points[at]["id"] for at in new]

    def amend(self, message: Message) -> bool:
        """Put `payload` into the point's, if the value under `key` still is what it `was`; whether it was."""
        found = self._shard.retrieve([UUID(message["point"])], [message["key"]], False)
        if not found or (found[0].payload or {}).get(message["key"]) != message["was"]:
            return False
        self._index_numbers(message["numbers"], message["most"])
        self._write(edge.UpdateOperation.set_payload([message["point"]], message["payload"]))
        self._written += 1
        return True

    def create_index(self, path: str, kind: str) -> None:
        self._write(edge.UpdateOperation.create_field_index(path, _INDEXES[kind]))
        self.indexed.add(path)

    def _index_numbers(self, wanted: list[str], most: int) -> None:
        for path in wanted:
            if path not in self.indexed and len(self.indexed) < most:
                self.create_index(path, "float")

    def delete(self, wanted: edge.Filter) -> int:
        found = self.count(wanted)
        if found:
            self._write(edge.UpdateOperation.delete_points_by_filter(wanted))
            self._written += found
        return found

    def _write(self, operation: edge.UpdateOperation) -> None:
        self._shard.update(operation)
        self._shard.flush()

    def search(self, vector: list[float], limit: int, wanted: edge.Filter | None) -> list[edge.ScoredPoint]:
        query = edge.Query.Nearest(vector)
        return self._shard.query(
            edge.QueryRequest(limit=limit, query=query, filter=wanted, with_payload=True, params=_EXACT)
        )

    def search_words(self, tokens: list[int], limit: int, wanted: edge.Filter | None) -> list[edge.ScoredPoint]:
        """Raises Wordless."""
        if not self._has_words:
            raise Wordless
        query = edge.Query.Nearest(edge.SparseVector(tokens, [1.0] * len(tokens)), _WORDS)
        return self._shard.query(
            edge.QueryRequest(limit=limit, query=query, filter=wanted, with_payload=True, params=_RARITY)
        )

    def find(self, point: str) -> edge.Record | None:
        found = self._shard.retrieve([UUID(point)], True, True)
        return found[0] if found else None

    def page(self, message: Message) -> list[edge.Record]:
        """Up to `limit` points that follow the point `after`, by their ids."""
        after, most, wanted = message["after"], message["limit"], edge_filter(message["filter"])
        start = UUID(after) if after else None  # which is among what is found, while it is there
        asked = edge.ScrollRequest(start, most + 1, wanted, message["returned"], message["vectors"])
        found, _ = self._shard.scroll(asked)
        return [record for record in found if str(record.id) != after][:most]

    def count(self, wanted: edge.Filter | None = None) -> int:
        return self._shard.count(edge.CountRequest(filter=wanted))

    def compact_when_due(self) -> None:
        """Reclaim what replaced and deleted points left, once they are as many as the points there are."""
        if self._written >= max(_COMPACT_AFTER, self._shard.info().points_count):
            self._shard.optimize()
            self._written = 0

    def close(self) -> None:
        self._shard.close()


def _load(path: Path) -> edge.EdgeShard:
    """A process that was just killed may hold the log's lock a moment longer."""
    deadline = time.monotonic() + _LOCK_WAIT_SECONDS
    while True:
        try:
            return edge.EdgeShard.load(str(path))
        except Exception as error:  # the binding raises nothing more exact
            if "WouldBlock" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _keeps_words(path: Path) -> bool:
    """As the shard's own description says, which the binding does not tell."""
    return _WORDS in orjson.loads((path / "edge_config.json").read_bytes()).get("sparse_vectors", {})


class Shards:
    """The shards under one directory; at most so many open, the longest unused closed first."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: OrderedDict[str, Shard] = OrderedDict()
        root.mkdir(parents=True, exist_ok=True)
        for leftover in [*root.glob("*.new"), *root.glob("*.dropped")]:
            shutil.rmtree(leftover)

    def get(self, name: str) -> Shard:
        """Raises Missing."""
        if name not in self._open:
            path = self._root / name
            if not path.is_dir():
                raise Missing
            if len(self._open) >= _OPEN_SHARDS:
                self._open.popitem(last=False)[1].close()
            self._open[name] = Shard(_load(path), has_words=_keeps_words(path))
        self._open.move_to_end(name)
        return self._open[name]

    def peek(self, name: str) -> Shard | None:
        """The shard if it is open."""
        return self._open.get(name)

    def holds(self, name: str) -> bool:
        return (self._root / name).is_dir()

    def create(self, name: str, dimension: int, metric: str, indexes: dict[str, str]) -> None:
        """Renamed into place when whole, so that a shard is there entirely or not at all."""
        path, unfinished = self._root / name, self._root / f"{name}.new"
        if path.is_dir():
            return
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        vectors = edge.EdgeVectorParams(size=dimension, distance=_DISTANCES[metric])
        words = {_WORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)}
        config = edge.EdgeConfig(vectors=vectors, sparse_vectors=words, hnsw_config=_NO_GRAPH, max_search_threads=1)
        shard = Shard(edge.EdgeShard.create(str(unfinished), config), has_words=True)
        for field, kind in indexes.items():
            shard.create_index(field, kind)
        shard.close()
        unfinished.rename(path)

    def drop(self, name: str) -> None:
        if shard := self._open.pop(name, None):
            shard.close()
        path, dropped = self._root / name, self._root / f"{name}.dropped"
        if path.is_dir():
            path.rename(dropped)
            shutil.rmtree(dropped)

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()


def edge_filter(data: Message | None) -> edge.Filter | None:
    """Qdrant's JSON filter as Edge's objects; None for none."""
    if data is None:
        return None
    parts: dict[str, Any] = {word: list(map(_edge_condition, conditions)) for word, conditions in data.items()}
    return edge.Filter(**parts)


def _edge_condition(data: Message) -> Any:
    match data:
        case {"has_id": ids}:
            return edge.HasIdCondition({UUID(one) for one in ids})
        case {"key": key, "match": {"value": value}}:
            return edge.FieldCondition(key, match=edge.MatchValue(value))
        case {"key": key, "match": {"any": values}}:
            return edge.FieldCondition(key, match=edge.MatchAny(values))
        case {"key": key, "range": bounds}:
            return edge.FieldCondition(key, range=edge.RangeFloat(**bounds))
        case _:
            return edge_filter(data)


def _dense(kept: Any) -> list[float]:
    """Of a point's vectors, which are given by their names, but for one that is alone and has none."""
    dense: list[float] = kept[_DENSE] if isinstance(kept, dict) else kept
    return dense


def answer(shards: Shards, message: Message, blob: bytes) -> tuple[Message, bytes]:
    """Do what `message` says. Raises Missing, or whatever Edge does."""
    name = message.get("name", "")
    match message["do"]:
        case "create":
            shards.create(name, message["dimension"], message["metric"], message["indexes"])
        case "holds":
            return {"holds": shards.holds(name)}, b""
        case "drop":
            shards.drop(name)
        case "upsert":
            vectors = _vectors(message["words"], blob)
            shards.get(name).upsert(message["points"], vectors, message["numbers"], message["most"])
        case "insert":
            vectors = _vectors(message["words"], blob)
            new = shards.get(name).insert(message["points"], vectors, message["numbers"], message["most"])
            return {"new": new}, b""
        case "amend":
            return {"amended": shards.get(name).amend(message)}, b""
        case "page":
            records = shards.get(name).page(message)
            listed = [number for record in records if record.vector for number in _dense(record.vector)]
            return {"payloads": [record.payload for record in records]}, array.array("f", listed).tobytes()
        case "search":
            vector = array.array("f", blob).tolist()
            return _hits(shards.get(name).search(vector, message["limit"], edge_filter(message["filter"])))
        case "search_words":
            wanted = edge_filter(message["filter"])
            return _hits(shards.get(name).search_words(message["tokens"], message["limit"], wanted))
        case "find":
            found = shards.get(name).find(message["point"])
            if found:
                return {"payload": found.payload}, array.array("f", _dense(found.vector)).tobytes()
        case "delete":
            doomed = edge_filter(message["filter"])
            assert doomed is not None, "a deletion names what to delete"  # noqa: S101
            return {"count": shards.get(name).delete(doomed)}, b""
        case "count":
            return {"count": shards.get(name).count(edge_filter(message["filter"]))}, b""
    return {}, b""


def _hits(found: list[edge.ScoredPoint]) -> tuple[Message, bytes]:
    return {"hits": [[hit.score, hit.payload] for hit in found]}, b""


def _vectors(words: list[int], blob: bytes) -> list[dict[str, Any]]:
    """Those of each point by their names; `words` says how many each has, which come last, tokens before weights."""
    total = sum(words)
    dense = array.array("f", blob[: len(blob) - 8 * total]).tolist()
    tokens = array.array("I", blob[len(blob) - 8 * total : len(blob) - 4 * total]).tolist()
    weights = array.array("f", blob[len(blob) - 4 * total :]).tolist()
    size, at, made = len(dense) // len(words), 0, list[dict[str, Any]]()
    for point, number in enumerate(words):
        vector: dict[str, Any] = {_DENSE: dense[point * size : (point + 1) * size]}
        if number:
            vector[_WORDS] = edge.SparseVector(tokens[at : at + number], weights[at : at + number])
        made.append(vector)
        at += number
    return made


def _read(source: BinaryIO) -> tuple[Message, bytes] | None:
    header = source.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    body, blob = lengths(header)
    return orjson.loads(source.read(body)), source.read(blob)


def _reply(shards: Shards, message: Message, blob: bytes) -> bytes:
    try:
        body, floats = answer(shards, message, blob)
    except Missing:
        body, floats = {"error": "missing"}, b""
    except Wordless:
        body, floats = {"error": "wordless"}, b""
    except Exception as error:  # noqa: BLE001 - the binding raises bare Exception; the service decides what it means
        body, floats = {"error": "failed", "detail": f"{type(error).__name__}: {error}"}, b""
    return encode(body | {"id": message["id"]}, floats)


def main(root: Path) -> None:
    """Answer commands until standard input ends."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the engine prints must not get between frames
    shards = Shards(root)
    while frame := _read(source):
        message, blob = frame
        sink.write(_reply(shards, message, blob))
        sink.flush()
        if message["do"] in _WRITES and (shard := shards.peek(message["name"])):
            shard.compact_when_due()
    shards.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
