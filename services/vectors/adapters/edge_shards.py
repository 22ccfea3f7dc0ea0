"""The collections of Qdrant Edge, a shard each, as the process that runs them has them open."""

import shutil
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import qdrant_edge as edge

from services.vectors.adapters.edge_shard import COMPACT_AFTER, WORDS, Shard, opened

_OPEN_SHARDS = 64  # each costs a thread, a few descriptors and about six megabytes
_DISTANCES = {"cosine": edge.Distance.Cosine, "dot": edge.Distance.Dot, "l2": edge.Distance.Euclid}
# Edge searches exactly: building its graph would stop every other search for half a minute per 100,000 vectors.
_NO_GRAPH = edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000)


class Missing(Exception):
    """There is no such shard."""


class Shards:
    """The shards under one directory; at most so many open, and vectors of `most_bytes`: those unused longest go first.

    One that has more alone is open by itself.
    """

    def __init__(
        self,
        root: Path,
        most_bytes: int,
        clock: Callable[[], float] = time.monotonic,
        compact_after: int = COMPACT_AFTER,
    ) -> None:
        self._root = root
        self._most_bytes, self._clock, self._compact_after = most_bytes, clock, compact_after
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
            self._open[name] = opened(path, self._compact_after)
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
