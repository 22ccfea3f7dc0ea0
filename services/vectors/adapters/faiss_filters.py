"""Which records of a FAISS collection meet a filter, by marks at their slots.

Each question that a condition is made of is answered by the tables of terms and numbers alone, which are small: the
records themselves lie on pages full of vectors. A row costs SQLite a tenth of what it costs Python to take it, so the
slots of an answer come as one text. What was answered is kept until something is written.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any, Final

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from services.vectors.domain import Op
from services.vectors.terms import AllOf, AnyOf, Condition, HasAnyTerm, HasTerm, NoneOf, NumberPast

Marks = NDArray[np.bool_]
Read = Callable[[str, Sequence[Any]], list[Any]]

OPERATORS: Final = {Op.GT: ">", Op.GTE: ">=", Op.LT: "<", Op.LTE: "<="}
_TERMS = "SELECT group_concat(slot) FROM term WHERE term IN ({})"
_NUMBERS = "SELECT group_concat(slot) FROM number WHERE key = ? AND value {} ?"
_ALL = "SELECT group_concat(slot) FROM record"
_LAST = "SELECT ifnull(max(slot), -1) FROM record"
_KEPT_BYTES = 4 * 2**20
_PIECE_CHARS = 2**19  # read in a few milliseconds, in which nobody else has the interpreter


class Meeting:
    """Blocking. Many may ask at once; a writer must be alone, and calls `forget`."""

    def __init__(self, read: Read) -> None:
        self._read, self._lock = read, threading.Lock()
        self._kept: LRUCache[Condition | None, Marks] = LRUCache(_KEPT_BYTES, getsizeof=lambda marks: marks.nbytes)

    def forget(self) -> None:
        """Something is written."""
        with self._lock:
            self._kept.clear()

    def slots(self, condition: Condition) -> NDArray[np.int64]:
        """Of the records that meet it, rising."""
        return np.flatnonzero(self._marks(condition)).astype(np.int64, copy=False)

    def _marks(self, condition: Condition | None) -> Marks:
        """At the slots of those that meet it; without one of all."""
        with self._lock:
            kept = self._kept.get(condition)
        if kept is None:
            kept = self._found(condition)
            with self._lock:
                if kept.nbytes <= _KEPT_BYTES:
                    self._kept[condition] = kept
        return kept

    def _found(self, condition: Condition | None) -> Marks:
        match condition:
            case None:
                return self._asked(_ALL, [])
            case AllOf(of):
                return reduce(np.logical_and, map(self._marks, of))
            case AnyOf(of):
                return reduce(np.logical_or, map(self._marks, of))
            case NoneOf(of):
                return self._marks(None) & ~self._marks(of)
            case HasTerm(term):
                return self._asked(_TERMS.format("?"), [term])
            case HasAnyTerm(terms):
                return self._asked(_TERMS.format(",".join("?" * len(terms))), terms)
            case NumberPast(key, op, bound):
                return self._asked(_NUMBERS.format(OPERATORS[op]), [key, bound])

    def _asked(self, statement: str, values: Sequence[Any]) -> Marks:
        [[last]] = self._read(_LAST, [])
        [[text]] = self._read(statement, values)
        marks = np.zeros(last + 1, dtype=bool)
        for slots in numbers(text or ""):
            marks[slots] = True
        return marks


def numbers(text: str) -> Iterator[NDArray[np.int64]]:
    """Those that stand in `text` with commas between them, many at a time."""
    start = 0
    while start < len(text):
        end = text.find(",", start + _PIECE_CHARS)
        end = len(text) if end < 0 else end
        yield np.fromstring(text[start:end], dtype=np.int64, sep=",")
        start = end + 1
