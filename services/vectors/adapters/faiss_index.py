"""The vectors of one collection in memory, in a FAISS flat index: a search compares all of them, so it is exact.

FAISS numbers vectors by position and shifts them all when one is removed. Here a position, a *slot*, stays with its
record: replacing writes into it, deleting frees it for the next record. A slot that is free holds no numbers (NaN),
which are nearer than nothing, so no search finds it.

What a search takes is reading the vectors from memory, so searches of many are made together: a product of matrices
reads them once for all (docs/decisions/0050). Its sums differ in the last bits from those of a search that is made
alone, so what it found is scored again, one by one: a search finds the same whoever searches beside it.

Where they are many a graph finds whom to score (`faiss_graph.py`, docs/decisions/0057), as soon as there is one.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from services.vectors.adapters import faiss_kept
from services.vectors.adapters.faiss_graph import TRIED, Graph, Trial
from services.vectors.adapters.faiss_growth import Growth
from services.vectors.adapters.faiss_kept import Kept, Kind, marks_of
from services.vectors.adapters.faiss_records import Near, Slots
from services.vectors.domain import Metric, Vector

faiss: Any = _faiss  # its annotations are those of the C++ wrapper, not of the Python layer over it
# How many numbers are searched for from which on FAISS multiplies matrices, unless it is given a selector.
_MULTIPLIED = faiss.cvar.distance_compute_blas_threshold = 1025

_NUMBERS, _SEARCHES = 2**20, 4
"""From how many of both on a product is made; fewer are compared sooner one by one."""
_MOST_TOGETHER = 64
_PRODUCTS = 2**31  # a tenth of a second of one core
_SPARE = 16  # found beyond those asked for: the last bits decide which of the last ones is nearer
_TOGETHER_BY_GRAPH = 16  # which many threads may do; nothing is saved


def _on_one_thread() -> None:
    """Searches run side by side instead of each using every core. This holds for the thread that says so alone."""
    faiss.omp_set_num_threads(1)


def most_together(numbers: int) -> int:
    """How many searches of a collection of so many numbers: others do not wait long for their end."""
    return max(1, min(_MOST_TOGETHER, _PRODUCTS // max(1, numbers)))


class SlotIndex:
    """Blocking; FAISS lets go of the interpreter lock. Many may search at once; a writer must be alone."""

    def __init__(self, dimension: int, metric: Metric, graph_from: float = math.inf) -> None:
        """Up to `graph_from` vectors, all are compared; under dot always: such a graph leads to long vectors only."""
        self._index = faiss.IndexFlatL2(dimension) if metric is Metric.L2 else faiss.IndexFlatIP(dimension)
        self._is_l2 = metric is Metric.L2
        self._free: list[int] = []
        self.growth = Growth(dimension, metric, math.inf if metric is Metric.DOT else graph_from)

    @property
    def nbytes(self) -> int:
        return int(self._index.ntotal) * int(self._index.d) * 4 + self.growth.nbytes

    def __len__(self) -> int:
        return int(self._index.ntotal) - len(self._free)

    def load(self, slots: Slots, vectors: Sequence[Vector]) -> None:
        """Take what the file holds; slots rise from call to call."""
        start = int(self._index.ntotal)
        block = np.full((int(slots[-1]) + 1 - start, self._index.d), np.nan, dtype=np.float32)
        block[slots - start] = np.stack(vectors)
        self._index.add(block)
        self._free += np.setdiff1d(np.arange(start, self._index.ntotal), slots, assume_unique=True).tolist()

    def spare(self, number: int) -> list[int]:
        """Slots for `number` new records: freed ones first. They are taken by `put`."""
        freed = self._free[-number:] if number else []
        after = int(self._index.ntotal)
        return freed + list(range(after, after + number - len(freed)))

    def put(self, slots: Sequence[int], vectors: Sequence[Vector]) -> None:
        """Each vector to its slot: one in use, or one that `spare` gave."""
        old = [at for at, slot in enumerate(slots) if slot < self._index.ntotal]
        new = [at for at, slot in enumerate(slots) if slot >= self._index.ntotal]
        for at in old:
            self._rows()[slots[at]] = vectors[at]
        taken = set(slots)
        self._free = [slot for slot in self._free if slot not in taken]
        self.growth.written(np.array(slots, dtype=np.int64))
        if new:
            self._index.add(np.stack([vectors[at] for at in new]))

    def clear(self, slots: Sequence[int]) -> None:
        """Free them."""
        if not slots:
            return
        self._rows()[list(slots)] = np.nan
        self._free += slots
        self.growth.freed(np.array(slots, dtype=np.int64), len(self))

    @property
    def most_together(self) -> int:
        """How many searches may be made together."""
        if self.growth.serves:
            return _TOGETHER_BY_GRAPH
        return most_together(int(self._index.ntotal) * int(self._index.d))

    def search(self, vectors: Sequence[Vector], limit: int, *, exact: bool = False) -> list[Near]:
        """For each of `vectors` the nearest slots; none is missed with `exact`, or where they are few."""
        _on_one_thread()
        limit = min(limit, len(self))
        if not limit:
            return [([], [])] * len(vectors)
        asked = np.stack(vectors)
        if exact:
            return self._by_all(asked, limit)
        candidates, beside = self.growth.candidates(asked, limit, len(self), None)
        left = [at for at, slots in enumerate(candidates) if slots is None]
        by_all = iter(self._by_all(asked[left], limit) if left else ())
        return [
            next(by_all) if slots is None else self._nearest_of(asked[at], limit, slots, beside)
            for at, slots in enumerate(candidates)
        ]

    def _by_all(self, asked: NDArray[np.float32], limit: int) -> list[Near]:
        if self._is_l2 or int(self._index.ntotal) * int(self._index.d) < _NUMBERS:
            # Distances come out of a product of matrices as a difference of squares, in which near ones vanish.
            return list(map(self._nearest, *self._one_by_one(asked, limit)))
        compare = self._one_by_one if len(asked) < _SEARCHES else self._index.search
        _, slots = compare(asked, min(limit + _SPARE, len(self)))
        return [self._best(limit, *scored) for scored in zip(slots, self._compare(asked, slots), strict=True)]

    def _one_by_one(self, asked: NDArray[np.float32], limit: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        whole = faiss.SearchParameters(sel=faiss.IDSelectorAll()) if self._index.d >= _MULTIPLIED else None
        found = [self._index.search(asked[at : at + 1], limit, params=whole) for at in range(len(asked))]
        return np.concatenate([values for values, _ in found]), np.concatenate([slots for _, slots in found])

    def search_among(self, vector: Vector, limit: int, among: Slots, *, exact: bool = False) -> Near:
        """The nearest of the slots `among`, which rise; none is missed with `exact`, or where they are few."""
        _on_one_thread()
        limit = min(limit, len(among))
        if not limit:
            return [], []
        if not exact:
            [slots], beside = self.growth.candidates(vector[np.newaxis], limit, len(self), among)
            if slots is not None:
                return self._nearest_of(vector, limit, slots, beside)
        return self._nearest(*self._of(vector, limit, among))

    def _of(self, vector: Vector, limit: int, among: Slots) -> tuple[NDArray[np.float32], Slots]:
        parameters = faiss.SearchParameters(sel=faiss.IDSelectorArray(among))
        [values], [slots] = self._index.search(vector[np.newaxis], limit, params=parameters)
        return values, slots

    def _nearest(self, found: NDArray[np.float32], slots: NDArray[np.int64]) -> Near:
        values: NDArray[np.float64] = found.astype(np.float64)
        if self._is_l2:
            values = np.sqrt(np.maximum(values, 0.0))  # FAISS answers the square
        ranked = slots >= 0  # what overflowed, of before there was a bound, has no rank and no slot
        return slots[ranked].tolist(), values[ranked].tolist()

    def _compare(self, asked: NDArray[np.float32], slots: Slots) -> NDArray[np.float32]:
        """Each vector with those in its slots, one by one, as `search_among` has them."""
        number, found = slots.shape
        values = np.empty((number, found), dtype=np.float32)
        pointers = faiss.swig_ptr(values), faiss.swig_ptr(asked), self._index.get_xb(), faiss.swig_ptr(slots)
        compare = faiss.fvec_L2sqr_by_idx if self._is_l2 else faiss.fvec_inner_products_by_idx
        compare(*pointers, int(self._index.d), number, found)
        return values

    def _best(self, limit: int, slots: Slots, values: NDArray[np.float32]) -> Near:
        ranked = np.flatnonzero(slots >= 0)
        nearness = -values[ranked] if not self._is_l2 else values[ranked]
        best = ranked[np.argsort(nearness, kind="stable")[:limit]]
        return self._nearest(values[best], slots[best])

    def _rows(self) -> NDArray[np.float32]:
        rows: NDArray[np.float32] = faiss.rev_swig_ptr(self._index.get_xb(), self._index.ntotal * self._index.d)
        return rows.reshape(self._index.ntotal, self._index.d)

    # --- The graph ----------------------------------------------------------------------------------------------------

    @property
    def wants_graph(self) -> bool:
        return self.growth.is_wanted(len(self))

    def _nearest_of(self, vector: Vector, limit: int, slots: Slots, beside: Slots) -> Near:
        """And of those `beside`, of which none is near yet."""
        if len(beside):
            slots = np.concatenate([slots, self._of(vector, min(limit, len(beside)), beside)[1]])
        slots = np.sort(slots)  # of equal ones the same are left out each time
        return self._best(limit, slots, self._compare(vector[np.newaxis], slots[np.newaxis])[0])

    def begin_graph(self) -> tuple[Graph, Slots] | None:
        """One to be made, and the slots to `take` for it, some at a time; nobody writes meanwhile."""
        live = np.ones(int(self._index.ntotal), dtype=bool)
        live[self._free] = False
        if (graph := self.growth.begin(live)) is None:
            return None
        try:
            # In no order: neighbours that come one after the other make bad links.
            return graph, np.random.default_rng(len(self)).permutation(graph.placeable(graph.waiting))
        except BaseException:
            self.growth.give_up(graph)
            raise

    def take(self, graph: Graph, slots: Slots) -> NDArray[np.float32]:
        """What `graph` is to add: copies of those that still wait; nobody writes meanwhile."""
        slots = slots[graph.waits(slots)]
        vectors: NDArray[np.float32] = self._rows()[slots]
        marks = marks_of(vectors)
        admitted = graph.admits(vectors, marks)
        graph.leave_out(slots[~admitted])
        graph.place(slots[admitted], marks[admitted])
        taken: NDArray[np.float32] = vectors[admitted]
        return taken

    def trial(self, graph: Graph, slot: int) -> Trial | None:
        """What `graph` knows of what is nearest to what is in the slot, if anything; nobody writes meanwhile."""
        _on_one_thread()
        vector = self._rows()[slot].copy()
        if not np.isfinite(vector).all():
            return None
        [(slots, _)] = self._by_all(vector[np.newaxis], min(3 * TRIED, len(self)))
        known = graph.knows(np.array(slots, dtype=np.int64))[:TRIED]
        return (vector, known) if len(known) else None

    def kept_graph(self, path: Path) -> Kept | None:
        """What was kept there, if it is of this collection."""
        return faiss_kept.read(path, Kind(int(self._index.d), self._is_l2))

    def recognise(self, graph: Graph, kept: Kept, slots: Slots) -> None:
        """Have `graph`, which has what was `kept`, know those of `slots` that are as they were; nobody writes then."""
        slots = slots[graph.waits(slots)]
        graph.recognise(slots, kept.points_of(slots), marks_of(self._rows()[slots]))
