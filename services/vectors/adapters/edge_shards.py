"""The collections of Qdrant Edge, a shard each, as the process that runs them has them open."""

import importlib
import os
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import qdrant_edge as edge

from services.vectors.adapters.edge_protocol import Message

_OPEN_SHARDS = 64  # each costs a thread, a few descriptors and about six megabytes
_LOCK_WAIT_SECONDS = 5.0
_COMPACT_AFTER = 20_000  # replaced points leave their old payload behind until a shard is compacted
_DISTANCES = {"cosine": edge.Distance.Cosine, "dot": edge.Distance.Dot, "l2": edge.Distance.Euclid}
_INDEXES = {"keyword": edge.PayloadSchemaType.Keyword, "float": edge.PayloadSchemaType.Float}
# Edge searches exactly: building its graph would stop every other search for half a minute per 100,000 vectors.
_NO_GRAPH = edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000)
_EXACT = edge.SearchParams(exact=True)
DENSE, WORDS = "", "words"
_UNWORDED = "unworded"
_WORDED_AT_ONCE = 16  # the longest texts keep others waiting for a tenth of a second
# Rarity among the records there are: without a filter, one of all, deleted ones would count until a shard is compacted.
_RARITY = edge.SearchParams(idf=edge.IdfParams(corpus=edge.Filter()))


class Missing(Exception):
    """There is no such shard."""


class Wordless(Exception):
    """The shard was made before words were kept."""


class Large(Exception):
    """What was found is more than may be sent."""


class Shard:
    """One open collection. What was written is on disk once it is settled."""

    def __init__(self, shard: edge.EdgeShard, path: Path, *, dimension: int, has_words: bool) -> None:
        """`has_words`: whether points may have them; while `path` has the mark, some have none yet."""
        self._shard = shard
        self._has_words = has_words
        self._unworded = path / _UNWORDED
        self._point_bytes = 4 * dimension
        self.indexed = set(self._shard.info().payload_schema)
        self._written = 0
        self.is_settled = True
        self.used_at = 0.0
        self.measure()

    def measure(self) -> int:
        """How many points it has; `nbytes` are those of their vectors from then on."""
        points = int(self._shard.info().points_count)
        self.nbytes = points * self._point_bytes
        return points

    def upsert(self, points: list[Message], vectors: list[Any], wanted: list[str], most: int) -> None:
        """All of them or none. Numeric fields seen first get their index."""
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
        return vector if self._has_words else vector[DENSE]

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
        self.is_settled = False
        self._shard.update(operation)

    def settle(self) -> None:
        """All that was written is on disk when this returns. It takes as long for many writes as for one."""
        if not self.is_settled:
            self._shard.flush()
            self.is_settled = True

    def search(self, vector: list[float], limit: int, wanted: edge.Filter | None) -> list[edge.ScoredPoint]:
        query = edge.Query.Nearest(vector)
        return self._shard.query(
            edge.QueryRequest(limit=limit, query=query, filter=wanted, with_payload=False, params=_EXACT)
        )

    def search_words(self, tokens: list[int], limit: int, wanted: edge.Filter | None) -> list[edge.ScoredPoint]:
        """Raises Wordless."""
        if not self._has_words or self._unworded.exists():
            raise Wordless
        query = edge.Query.Nearest(edge.SparseVector(tokens, [1.0] * len(tokens)), WORDS)
        return self._shard.query(
            edge.QueryRequest(limit=limit, query=query, filter=wanted, with_payload=False, params=_RARITY)
        )

    def give_words(self, field: str, after: str | None) -> str | None:
        """Words to the texts, under `field`, of some points that have none and follow `after`, if they are of before.

        The last of those looked at, None when none was left. Points that are stored meanwhile come with theirs.
        """
        if not self._has_words:
            _mark(self._unworded)
            self._write(edge.UpdateOperation.create_sparse_vector(WORDS, edge.Modifier.Idf))
            self._has_words = True
        if not self._unworded.exists():
            return None
        wordless = edge.Filter(must_not=[edge.HasVectorCondition(WORDS)])
        found = self.page(after, _WORDED_AT_ONCE, wordless, [field], with_vectors=False)
        # Late, as it loads numpy, of which this process has no other need.
        words_of = importlib.import_module("services.vectors.words").words_of
        given = [(record.id, words_of((record.payload or {}).get(field))) for record in found]
        points = [
            edge.PointVectors(point, {WORDS: edge.SparseVector(words.tokens.tolist(), words.weights.tolist())})
            for point, words in given
            if words
        ]
        if points:
            self._write(edge.UpdateOperation.update_vectors(points))
        if not found:
            self.settle()  # first, or half of the words would pass for all
            self._unworded.unlink()
        return str(found[-1].id) if found else None

    def payloads(self, ids: list[Any], returned: list[str]) -> list[Any]:
        """Of the points with those ids, in their order; of each what is `returned`."""
        kept = {str(record.id): record.payload for record in self._shard.retrieve(ids, returned, False)}
        return [kept[str(one)] for one in ids]

    def find(self, point: str) -> edge.Record | None:
        found = self._shard.retrieve([UUID(point)], True, True)
        return found[0] if found else None

    def page(
        self, after: str | None, most: int, wanted: edge.Filter | None, returned: list[str], *, with_vectors: bool
    ) -> list[edge.Record]:
        """Up to `most` points that follow the point `after`, by their ids."""
        start = UUID(after) if after else None  # which is among what is found, while it is there
        found, _ = self._shard.scroll(edge.ScrollRequest(start, most + 1, wanted, returned, with_vectors))
        return [record for record in found if str(record.id) != after][:most]

    def count(self, wanted: edge.Filter | None = None) -> int:
        return self._shard.count(edge.CountRequest(filter=wanted))

    def compact_when_due(self) -> None:
        """Reclaim what replaced and deleted points left, once they are as many as the points there are."""
        if self._written >= max(_COMPACT_AFTER, self.measure()):
            self._shard.optimize()
            self._written = 0

    def close(self) -> None:
        self._shard.close()


def _mark(file: Path) -> None:
    """It is on disk when this returns: what follows must not be there without it."""
    file.touch()
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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


def _opened(path: Path) -> Shard:
    """What the binding does not tell is in the shard's own description."""
    about = orjson.loads((path / "edge_config.json").read_bytes())
    dimension = about["vectors"][DENSE]["size"]
    return Shard(_load(path), path, dimension=dimension, has_words=WORDS in about.get("sparse_vectors", {}))


class Shards:
    """The shards under one directory; at most so many open, and vectors of `most_bytes`: those unused longest go first.

    One that has more alone is open by itself.
    """

    def __init__(self, root: Path, most_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._most_bytes, self._clock = most_bytes, clock
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
            self._open[name] = _opened(path)
        self._open.move_to_end(name)
        shard = self._open[name]
        shard.used_at = self._clock()
        while len(self._open) > 1 and self.nbytes > self._most_bytes:
            self._open.popitem(last=False)[1].close()
        return shard

    @property
    def nbytes(self) -> int:
        """Of the vectors in all that are open."""
        return sum(shard.nbytes for shard in self._open.values())

    def close_idle(self, seconds: float) -> int:
        """Close what nobody has used for so long; how many are still open."""
        now = self._clock()
        for name in [name for name, shard in self._open.items() if now - shard.used_at >= seconds]:
            self._open.pop(name).close()
        return len(self._open)

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
        words = {WORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)}
        config = edge.EdgeConfig(vectors=vectors, sparse_vectors=words, hnsw_config=_NO_GRAPH, max_search_threads=1)
        made = edge.EdgeShard.create(str(unfinished), config)
        shard = Shard(made, unfinished, dimension=dimension, has_words=True)
        for field, kind in indexes.items():
            shard.create_index(field, kind)
        shard.settle()
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
