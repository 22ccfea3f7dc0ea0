"""One collection of Qdrant Edge, a shard, as the process that runs them has it open."""

import contextlib
import importlib
import os
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import qdrant_edge as edge

from services.vectors.adapters.edge_protocol import Message

_LOCK_WAIT_SECONDS = 5.0
COMPACT_AFTER = 20_000  # deleted points, and replaced ones of a compacted shard, stay until it is compacted again
_WRITTEN = "written"
_INDEXES = {"keyword": edge.PayloadSchemaType.Keyword, "float": edge.PayloadSchemaType.Float}
_EXACT = edge.SearchParams(exact=True)
DENSE, WORDS = "", "words"
_UNWORDED = "unworded"
_WORDED_AT_ONCE = 16  # the longest texts keep others waiting for a tenth of a second
# Rarity among the records there are: without a filter, one of all, deleted ones would count until a shard is compacted.
_RARITY = edge.SearchParams(idf=edge.IdfParams(corpus=edge.Filter()))


class Wordless(Exception):
    """The shard was made before words were kept."""


class Large(Exception):
    """What was found is more than may be sent."""


class Shard:
    """One open collection. What was written is on disk once it is settled."""

    def __init__(
        self,
        shard: edge.EdgeShard,
        path: Path,
        *,
        dimension: int,
        has_words: bool,
        compact_after: int = COMPACT_AFTER,
    ) -> None:
        """`has_words`: whether points may have them; while `path` has the mark, some have none yet.

        It is compacted after so many writes, whenever they were made.
        """
        self._shard = shard
        self._has_words = has_words
        self._unworded = path / _UNWORDED
        self._point_bytes = 4 * dimension
        self.indexed = set(self._shard.info().payload_schema)
        self._compact_after, self._counter = compact_after, path / _WRITTEN
        self._written = _number_in(self._counter)
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
            self._keep_count()

    def _keep_count(self) -> None:
        """For when it is opened again; that it may be lost with the machine is no matter."""
        with contextlib.suppress(OSError):
            self._counter.write_text(f"{self._written}")

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
        if self._written >= max(self._compact_after, self.measure()):
            self._written = 0
            self._keep_count()  # first: what fails, or is killed for taking too long, is not begun again at once
            self._shard.optimize()

    def close(self) -> None:
        self._shard.close()


def _number_in(file: Path) -> int:
    """0 where there is none: it is of before, or its write was broken off."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


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


def opened(path: Path, compact_after: int) -> Shard:
    """What the binding does not tell is in the shard's own description."""
    about = orjson.loads((path / "edge_config.json").read_bytes())
    dimension, has_words = about["vectors"][DENSE]["size"], WORDS in about.get("sparse_vectors", {})
    return Shard(_load(path), path, dimension=dimension, has_words=has_words, compact_after=compact_after)
