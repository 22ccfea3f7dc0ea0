"""Where the FAISS engine keeps its records: one SQLite file a collection, the truth from which the index is made.

A commit is on disk before it is acknowledged, so neither a killed process nor a power cut takes it back. What filters
ask for lies in two indexed tables, so a filter names its records exactly, before the search and not after it.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from services.vectors.adapters.faiss_filters import OPERATORS, Meeting
from services.vectors.adapters.faiss_words import WordIndex
from services.vectors.adapters.probing import probe_point, require_point
from services.vectors.domain import MAX_ANSWER_BYTES, EngineName, Metadata, Record, Vector
from services.vectors.errors import AnswerTooLarge, CollectionMissing
from services.vectors.terms import AllOf, AnyOf, Condition, HasAnyTerm, HasTerm, NoneOf, NumberPast, terms_of

Slots = NDArray[np.int64]
Near = tuple[list[int], list[float]]
"""Slots and their similarities, or Euclidean distances."""
Content = tuple[str, str | None, dict[str, Any]]

_SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE record (
    slot INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, vector BLOB NOT NULL, text TEXT, metadata TEXT NOT NULL
);
CREATE TABLE term (term TEXT NOT NULL, slot INTEGER NOT NULL, PRIMARY KEY (term, slot)) WITHOUT ROWID;
CREATE INDEX term_slot ON term (slot);
CREATE TABLE number (
    key TEXT NOT NULL, value REAL NOT NULL, slot INTEGER NOT NULL, PRIMARY KEY (key, value, slot)
) WITHOUT ROWID;
CREATE INDEX number_slot ON number (slot);
"""
_SLOTS = "SELECT id, slot FROM record WHERE id "
_SIZE = "ifnull(length(CAST(text AS BLOB)), 0) + length(CAST(metadata AS BLOB))"
_CONTENTS = f"SELECT slot, id, text, metadata, {_SIZE} FROM record WHERE slot "  # noqa: S608 - made of our own words
_TERM = "SELECT slot FROM term WHERE term"
_NUMBER = "SELECT slot FROM number WHERE key = ? AND value"
_ROWS_AT_ONCE = 500
_CONTENTS_AT_ONCE = 100  # the largest are a megabyte each


def create(path: Path, about: Mapping[str, str]) -> None:
    """Make the file; it appears under its name when it is whole. Nothing happens when it is there."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    connection = sqlite3.connect(unfinished)
    try:
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + _SCHEMA)
        with connection:
            connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
    finally:
        connection.close()
    unfinished.rename(path)


def graph_of(path: Path) -> Path:
    """Where the graph of the records is kept (`faiss_kept.py`)."""
    return path.with_name(path.name + "-graph")


def unfinished(graph: Path) -> Path:
    """Where that is until it is whole."""
    return graph.with_name(graph.name + "-new")


def drop(path: Path) -> None:
    """Delete the file, and those beside it; nothing happens when it is gone."""
    graph = graph_of(path)
    beside = [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm")]
    for file in (unfinished(graph), graph, *beside, path):
        file.unlink(missing_ok=True)


def slots(path: Path) -> int:
    """How many vectors the index of the file has, free slots among them. Raises CollectionMissing without a file."""
    if not path.exists():
        raise CollectionMissing
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as connection:
        (last,) = connection.execute("SELECT max(slot) FROM record").fetchone()
    return 0 if last is None else int(last) + 1


def write_and_read_back(path: Path) -> None:
    """Keep a record in the file, which is made when it is missing, and read it. Raises Finding."""
    create(path, {})
    opened = FaissRecords(path)
    try:
        written = probe_point()
        opened.write([(0, written)])
        require_point(EngineName.FAISS, written, opened.find(written.id))
    finally:
        opened.close()


class FaissRecords:
    """One open file. Blocking. Readers may be many threads; a writer must be alone."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous = FULL")
        self._words = WordIndex(self._connection)
        self._meeting = Meeting(self._read)

    def vectors(self) -> Iterator[tuple[Slots, list[Vector]]]:
        """All of them, in the order of their slots, some at a time."""
        cursor = self._connection.execute("SELECT slot, vector FROM record ORDER BY slot")
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            slots = np.array([slot for slot, _ in rows], dtype=np.int64)
            yield slots, [np.frombuffer(blob, dtype=np.float32) for _, blob in rows]

    def slots_of(self, ids: Sequence[str]) -> dict[str, int]:
        """Where the records are, of those ids that are there."""
        found: dict[str, int] = {}
        for part in _parts(ids):
            found.update(self._read(_SLOTS + _in(part), part))
        return found

    def write(self, records: Sequence[tuple[int, Record]]) -> None:
        """Put each record at its slot, replacing what is there. All of them or, when it raises, none."""
        rows = [
            (slot, record.id, record.vector.tobytes(), record.text, orjson.dumps(record.metadata).decode())
            for slot, record in records
        ]
        self._meeting.forget()
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?)", rows)
            self._index([(slot, record.metadata) for slot, record in records])
            self._words.forget([slot for slot, _ in records])
            self._words.put([(slot, record.text) for slot, record in records])

    def set_metadata(self, record_id: str, metadata: Metadata) -> None:
        """Of a record that is there; with what filters ask for, or not at all."""
        self._meeting.forget()
        with self._connection:
            kept = (orjson.dumps(metadata).decode(), record_id)
            self._connection.execute("UPDATE record SET metadata = ? WHERE id = ?", kept)
            self._index([(slot, metadata) for slot in self.slots_of([record_id]).values()])

    def _index(self, metadatas: Sequence[tuple[int, Metadata]]) -> None:
        """What filters ask for, in place of what they asked for."""
        terms: list[tuple[str, int]] = []
        numbers: list[tuple[str, float, int]] = []
        for slot, metadata in metadatas:
            indexed = terms_of(metadata)
            terms += [(term, slot) for term in indexed.terms]
            numbers += {(key, value, slot) for key, values in indexed.numbers.items() for value in values}
        self._forget([slot for slot, _ in metadatas])
        self._connection.executemany("INSERT INTO term VALUES (?, ?)", terms)
        self._connection.executemany("INSERT INTO number VALUES (?, ?, ?)", numbers)

    def delete(self, slots: Sequence[int]) -> None:
        """All of them or, when it raises, none."""
        self._meeting.forget()
        with self._connection:
            self._forget(slots)
            self._words.forget(slots)
            self._connection.executemany("DELETE FROM record WHERE slot = ?", [(slot,) for slot in slots])

    def _forget(self, slots: Sequence[int]) -> None:
        self._connection.executemany("DELETE FROM term WHERE slot = ?", [(slot,) for slot in slots])
        self._connection.executemany("DELETE FROM number WHERE slot = ?", [(slot,) for slot in slots])

    def select(self, condition: Condition) -> Slots:
        """The slots of the records that meet it."""
        return self._meeting.slots(condition)

    def best_worded(self, tokens: Sequence[int], limit: int, condition: Condition | None) -> list[tuple[int, float]]:
        """Slots and their scores: the best by keywords of the records that meet `condition`."""
        where, values = _sql(condition) if condition else ("true", [])
        with self._lock:
            return self._words.best(tokens, limit, where, values)

    def contents(self, slots: Sequence[int]) -> dict[int, Content]:
        """Id, text and metadata by slot. Raises AnswerTooLarge."""
        found: dict[int, Content] = {}
        size = 0
        for part in _parts(slots, _CONTENTS_AT_ONCE):
            rows = self._read(_CONTENTS + _in(part), part)
            size += sum(row[-1] for row in rows)
            _require_room(size)
            found.update((slot, (record_id, text, orjson.loads(kept))) for slot, record_id, text, kept, _ in rows)
        return found

    def find(self, record_id: str) -> Record | None:
        rows = self._read("SELECT vector, text, metadata FROM record WHERE id = ?", [record_id])
        for blob, text, kept in rows:
            return Record(record_id, np.frombuffer(blob, dtype=np.float32), text, orjson.loads(kept))
        return None

    def page(self, after: str | None, limit: int, condition: Condition | None, *, with_vectors: bool) -> list[Record]:
        """By id. Raises AnswerTooLarge."""
        where, values = _sql(condition) if condition else ("TRUE", [])
        vector = "vector" if with_vectors else "x''"
        rows = self._read(
            f"SELECT id, {vector}, text, metadata, {_SIZE} FROM record WHERE id > ? AND {where} ORDER BY id LIMIT ?",  # noqa: S608
            [after or "", *values, limit],
        )
        _require_room(sum(row[-1] for row in rows))
        return [
            Record(record_id, np.frombuffer(blob, dtype=np.float32), text, orjson.loads(kept))
            for record_id, blob, text, kept, _ in rows
        ]

    def count(self, condition: Condition | None = None) -> int:
        where, values = _sql(condition) if condition else ("TRUE", [])
        return int(self._read(f"SELECT count(*) FROM record WHERE {where}", values)[0][0])  # noqa: S608

    def _read(self, statement: str, values: Sequence[Any]) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def close(self) -> None:
        self._connection.close()


def _require_room(size: int) -> None:
    if size > MAX_ANSWER_BYTES:
        raise AnswerTooLarge(MAX_ANSWER_BYTES)


def _parts(values: Sequence[Any], most: int = _ROWS_AT_ONCE) -> Iterable[Sequence[Any]]:
    return (values[start : start + most] for start in range(0, len(values), most))


def _in(values: Sequence[Any]) -> str:
    return f"IN ({','.join('?' * len(values))})"


def _sql(condition: Condition) -> tuple[str, list[Any]]:
    match condition:
        case AllOf(of):
            return _joined(" AND ", of)
        case AnyOf(of):
            return _joined(" OR ", of)
        case NoneOf(of):
            where, values = _sql(of)
            return f"NOT {where}", values
        case HasTerm(term):
            return f"(slot IN ({_TERM} = ?))", [term]
        case HasAnyTerm(terms):
            return f"(slot IN ({_TERM} {_in(terms)}))", list(terms)
        case NumberPast(key, op, bound):
            return f"(slot IN ({_NUMBER} {OPERATORS[op]} ?))", [key, bound]


def _joined(word: str, parts: Sequence[Condition]) -> tuple[str, list[Any]]:
    wheres, values = zip(*map(_sql, parts), strict=True)
    return f"({word.join(wheres)})", [value for some in values for value in some]
