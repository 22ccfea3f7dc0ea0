"""The vectors of one collection in memory, in a FAISS flat index: every search compares all of them, so it is exact.

FAISS numbers vectors by position and shifts them all when one is removed. Here a position, a *slot*, stays with its
record: replacing writes into it, deleting frees it for the next record, and searches are told which slots are in use.
"""

from collections.abc import Sequence
from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from services.vectors.adapters.faiss_records import Slots
from services.vectors.domain import Metric, Vector

faiss: Any = _faiss  # its annotations are those of the C++ wrapper, not of the Python layer over it
# One search runs on one thread; several run side by side instead of each using every core.
faiss.omp_set_num_threads(1)


class SlotIndex:
    """Blocking; FAISS lets go of the interpreter lock. Many may search at once; a writer must be alone."""

    def __init__(self, dimension: int, metric: Metric) -> None:
        self._index = faiss.IndexFlatL2(dimension) if metric is Metric.L2 else faiss.IndexFlatIP(dimension)
        self._is_l2 = metric is Metric.L2
        self._used = np.zeros(0, dtype=bool)
        self._free: list[int] = []

    @property
    def nbytes(self) -> int:
        return int(self._index.ntotal) * int(self._index.d) * 4

    def __len__(self) -> int:
        return int(self._index.ntotal) - len(self._free)

    def load(self, slots: Slots, vectors: Sequence[Vector]) -> None:
        """Take what the file holds; slots rise from call to call."""
        start = int(self._index.ntotal)
        block = np.zeros((int(slots[-1]) + 1 - start, self._index.d), dtype=np.float32)
        block[slots - start] = np.stack(vectors)
        self._index.add(block)
        used = np.zeros(len(block), dtype=bool)
        used[slots - start] = True
        self._used = np.concatenate([self._used, used])
        self._free += (start + np.flatnonzero(~used)).tolist()

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
            self._used[slots[at]] = True
        taken = set(slots)
        self._free = [slot for slot in self._free if slot not in taken]
        if new:
            self._index.add(np.stack([vectors[at] for at in new]))
            self._used = np.concatenate([self._used, np.ones(len(new), dtype=bool)])

    def clear(self, slots: Sequence[int]) -> None:
        """Free them."""
        self._used[list(slots)] = False
        self._free += slots

    def search(self, vector: Vector, limit: int, among: Slots | None) -> tuple[list[int], list[float]]:
        """The nearest slots and their similarities, or Euclidean distances; only `among` those when given."""
        selector = self._selector(among)
        limit = min(limit, len(self) if among is None else len(among))
        if not limit:
            return [], []
        parameters = faiss.SearchParameters(sel=selector) if selector else None
        found, slots = self._index.search(vector[np.newaxis], limit, params=parameters)
        values: NDArray[np.float64] = found[0].astype(np.float64)
        if self._is_l2:
            values = np.sqrt(np.maximum(values, 0.0))  # FAISS answers the square
        ranked = slots[0] >= 0  # what overflowed, of before there was a bound, has no rank and no slot
        return slots[0][ranked].tolist(), values[ranked].tolist()

    def _selector(self, among: Slots | None) -> Any:
        if among is not None:
            return faiss.IDSelectorArray(among)
        return faiss.IDSelectorBitmap(np.packbits(self._used, bitorder="little")) if self._free else None

    def _rows(self) -> NDArray[np.float32]:
        rows: NDArray[np.float32] = faiss.rev_swig_ptr(self._index.get_xb(), self._index.ntotal * self._index.d)
        return rows.reshape(self._index.ntotal, self._index.d)
