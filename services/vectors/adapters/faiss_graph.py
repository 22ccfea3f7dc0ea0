"""A graph over the vectors of a collection (HNSW): a search by it compares few of them, and misses one now and then.

It has the vectors itself, shortened to 16 bits, so whatever is written meanwhile moves nothing under it: one is made
beside searches and writes, and one that serves is never changed. What is written after it was put there *waits* for the
next, and is compared one by one until then. What was replaced or deleted is a way to others still, and never found.
"""

import math
from collections import Counter
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any, Final, NamedTuple

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from services.vectors.adapters import faiss_kept
from services.vectors.adapters.faiss_kept import Kept, Marks64
from services.vectors.adapters.faiss_records import Slots
from services.vectors.domain import Metric, Vector
from services.vectors.geometry import MAX_LENGTH

faiss: Any = _faiss  # its annotations are those of the C++ wrapper, not of the Python layer over it

Marks = NDArray[np.bool_]
Trial = tuple[Vector, Slots]
"""What is searched for, and what is nearest to it."""

_LINKS: Final = 16
_CARE: Final = 100  # of how many the links of a vector are chosen
_BYTES_OF_LINKS: Final = 4 * 2 * _LINKS + 32  # those of the upper levels too, and where they begin
_BYTES_OF_PLACE: Final = 22  # in both directions, the mark, whether it waits, and whether it always will

_EQUALS: Final = 8
_NEW: Final = 10
"""Of how many points one is to be new, before a successor is kept in the place of the one that is."""

_SPARE: Final = 6  # that are found beyond those wanted: 16 bits do not always tell which of two is nearer
_LEAST_EFFORT: Final = 72
TRIED: Final = 10
_BEYOND: Final = 1.7  # times as many are found as are wanted: the last of those looked at are not the nearest
_COMPARED_EACH: Final = 40  # vectors in a row are compared in the time that one is looked at


class _Now(NamedTuple):
    """What is so until something is written."""

    waiting: Slots
    known: int


class Graph:
    """Blocking; FAISS lets go of the interpreter lock. Many may search; who tells it of a write must be alone."""

    def __init__(self, dimension: int, metric: Metric, live: Marks) -> None:
        """Of no vector yet: all slots that are `live` wait."""
        kind = faiss.METRIC_L2 if metric is Metric.L2 else faiss.METRIC_INNER_PRODUCT
        self._links = faiss.IndexHNSWSQ(dimension, faiss.ScalarQuantizer.QT_bf16, _LINKS, kind)
        self._links.hnsw.efConstruction = _CARE
        self.size = 0
        """Points that it has."""
        self.planned = 0
        """How many it may come to have: their room is its own already."""
        self.kept = 0
        """Points of the one that is kept in a file, of which it is a successor, or which it is."""
        self._met: Counter[int] = Counter()
        self.effort = _LEAST_EFFORT
        """How many are looked at in a search, at the least."""
        self._slots: Slots = np.empty(0, dtype=np.int64)  # of each point of the graph, and room for more
        self._marks: Marks64 = np.empty(0, dtype=np.uint64)  # of the vectors of the points, likewise
        self._points = np.empty(0, dtype=np.int32)  # of each slot: the one that has its vector
        self._waits: Marks = np.empty(0, dtype=bool)
        self._left_out: Marks = np.empty(0, dtype=bool)
        self._now: _Now | None = None
        self.written(np.flatnonzero(live))

    @property
    def nbytes(self) -> int:
        return max(self.size, self.planned) * self.bytes_each

    @property
    def bytes_each(self) -> int:
        """For a vector."""
        return 2 * int(self._links.d) + _BYTES_OF_LINKS + _BYTES_OF_PLACE

    # --- What is written ----------------------------------------------------------------------------------------------

    def written(self, slots: Slots) -> None:
        """They hold other vectors now."""
        self._reach(int(slots.max(initial=-1)) + 1)
        self._points[slots], self._waits[slots], self._left_out[slots], self._now = -1, True, False, None

    def freed(self, slots: Slots) -> None:
        """They hold none any more."""
        self._points[slots], self._waits[slots], self._left_out[slots], self._now = -1, False, False, None

    def _reach(self, slots: int) -> None:
        self._points = _reaching(self._points, slots, -1)
        self._waits, self._left_out = (_reaching(marks, slots, False) for marks in (self._waits, self._left_out))

    def waits(self, slots: Slots) -> Marks:
        """Which of them do."""
        return self._waits[slots]

    @property
    def waiting(self) -> Slots:
        """Rising."""
        return self._standing().waiting

    def placeable(self, slots: Slots) -> Slots:
        """Those of them that are not left out."""
        left: Slots = slots[~self._left_out[slots]]
        return left

    @property
    def left_out(self) -> int:
        """Vectors that have no place in it, nor in its successors, and go on waiting."""
        return int(np.count_nonzero(self._left_out))

    @property
    def lost(self) -> int:
        """Points whose vectors are replaced or deleted."""
        return self.size - self._standing().known

    def _standing(self) -> _Now:
        if (now := self._now) is None:
            known = int(np.count_nonzero(self._points >= 0))
            now = self._now = _Now(np.flatnonzero(self._waits).astype(np.int64, copy=False), known)
        return now

    # --- How it comes to be -------------------------------------------------------------------------------------------

    def successor(self) -> "Graph":
        """One that knows the same, and grows while this one serves: after it has taken over the links."""
        made = copy(self)
        made._met = self._met.copy()
        made._slots, made._marks, made._points = self._slots.copy(), self._marks.copy(), self._points.copy()
        made._waits, made._left_out = self._waits.copy(), self._left_out.copy()
        return made

    def take_over(self) -> None:
        """The links of the one before, as its own."""
        self._links = faiss.clone_index(self._links)

    def admits(self, vectors: NDArray[np.float32], marks: Marks64) -> Marks:
        """Which have a place in it; `marks` are theirs.

        Those beyond all bounds, of before there were any, are nowhere in 32 bits. Many that are equal would lead to
        each other alone: a search that comes among them stays there.
        """
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        admitted: Marks = lengths <= MAX_LENGTH
        for at, mark in enumerate(marks.tolist()):
            self._met[mark] += 1
            admitted[at] &= self._met[mark] <= _EQUALS
        return admitted

    def leave_out(self, slots: Slots) -> None:
        """They go on waiting, until something else is written there."""
        self._left_out[slots] = True

    def place(self, slots: Slots, marks: Marks64) -> None:
        """They wait no more: their vectors, as they are now, are the next that are added."""
        size = self.size + len(slots)
        self._slots = _reaching(self._slots, size, -1)
        self._slots[self.size : size] = slots
        self._marks = _reaching(self._marks, size, 0)
        self._marks[self.size : size] = marks
        self._points[slots] = np.arange(self.size, size, dtype=np.int32)
        self._waits[slots], self.size, self._now = False, size, None

    def add(self, vectors: NDArray[np.float32]) -> None:
        faiss.omp_set_num_threads(1)  # which holds for the thread that says so
        self._links.add(vectors)

    def complete(self) -> None:
        """Nothing is added any more."""
        self.planned = 0
        self._met = Counter({mark: times for mark, times in self._met.items() if times > 1})  # few: most are met once

    # --- How it is kept -----------------------------------------------------------------------------------------------

    @property
    def is_to_be_kept(self) -> bool:
        """Whether a good part of it is in no file."""
        return _NEW * (self.size - self.kept) >= self.size > 0

    def write(self, path: Path) -> None:
        """One that is complete; others may search it. Raises OSError."""
        faiss_kept.write(path, self._links, self._slots[: self.size], self._marks[: self.size], self.effort)

    def restore(self, kept: Kept) -> None:
        """All points of the one that was kept; whose they are is for `recognise`. Raises OSError, RuntimeError."""
        self._links = kept.links()
        self.size = self.kept = len(kept.slots)
        self._slots, self._marks, self.effort = kept.slots, kept.marks, kept.effort
        marks, times = np.unique(kept.marks, return_counts=True)
        self._met = Counter(dict(zip(marks[times > 1].tolist(), times[times > 1].tolist(), strict=True)))

    def recognise(self, slots: Slots, points: NDArray[np.int64], marks: Marks64) -> None:
        """Of the `slots`, which wait, those whose `marks` are those that were placed: at `points`, where not -1."""
        same = (points >= 0) & (self._marks[points] == marks)
        self._points[slots[same]], self._waits[slots[same]], self._now = points[same], False, None
        others = [at for at in np.flatnonzero(~same).tolist() if self._met[int(marks[at])] >= _EQUALS]
        self.leave_out(slots[others])

    # --- Searching ----------------------------------------------------------------------------------------------------

    def breadth(self, limit: int, share: float) -> int:
        """How many to find for `limit` that are wanted, where a `share` of all that are known is."""
        known = share * self._standing().known / max(1, self.size)
        found = max(_BEYOND * limit, limit + 2.5 * math.sqrt(limit))  # by chance fewer of them are among the first
        return min(self.size, math.ceil(found / known) + _SPARE if known else self.size)

    def cost(self, breadth: int) -> int:
        """Of a search, in vectors that are compared one after the other."""
        return _COMPARED_EACH * self._effort(breadth)

    def nearest(self, vectors: NDArray[np.float32], breadth: int) -> list[Slots]:
        """For each of them the slots of about the nearest `breadth`, without those that are not what they were."""
        faiss.omp_set_num_threads(1)
        effort = faiss.SearchParametersHNSW(efSearch=self._effort(breadth))
        _, found = self._links.search(vectors, breadth, params=effort)
        return [self._known(points) for points in found]

    def _effort(self, breadth: int) -> int:
        return max(self.effort, breadth * self.effort // _LEAST_EFFORT)

    @property
    def efforts(self) -> Sequence[int]:
        """That are worth a trial."""
        return [_LEAST_EFFORT * 2**step for step in range(5)]

    def recall(self, trials: Sequence[Trial]) -> float:
        """The share that it finds of what is nearest."""
        found = self.nearest(np.stack([vector for vector, _ in trials]), self.breadth(TRIED, 1.0))
        pairs = zip(found, trials, strict=True)
        hits = sum(len(np.intersect1d(slots, nearest)) for slots, (_, nearest) in pairs)
        return hits / max(1, sum(len(nearest) for _, nearest in trials))

    def knows(self, slots: Slots) -> Slots:
        """Those of them that it does."""
        known: Slots = slots[self._points[slots] >= 0]
        return known

    def _known(self, points: NDArray[np.int64]) -> Slots:
        points = points[points >= 0]
        slots = self._slots[points]
        known: Slots = slots[self._points[slots] == points]
        return known


def _reaching(kept: NDArray[Any], size: int, filling: int) -> NDArray[Any]:
    """It, or a longer one; by an eighth at least, or each write would copy it."""
    if (more := size - len(kept)) <= 0:
        return kept
    return np.concatenate([kept, np.full(max(more, len(kept) // 8), filling, dtype=kept.dtype)])
