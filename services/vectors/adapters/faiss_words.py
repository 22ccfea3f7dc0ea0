"""The words of a FAISS collection: two tables in its own file, written in the transactions that write its records."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np

from services.vectors.words import rarity, words_of

# `word` is read by token; `worded` says which tokens a record has there, so that they go with it.
_SCHEMA = (
    """CREATE TABLE word (
        token INTEGER NOT NULL, slot INTEGER NOT NULL, weight REAL NOT NULL, PRIMARY KEY (token, slot)
    ) WITHOUT ROWID""",
    "CREATE TABLE worded (slot INTEGER PRIMARY KEY, tokens BLOB NOT NULL)",
    "CREATE INDEX worded_number ON worded (slot)",  # to count them without reading the tokens
)
_KEPT = "SELECT slot, tokens FROM worded WHERE slot "
_HOLDING = "SELECT count(*) FROM word WHERE token = ?"
_ROWS_AT_ONCE = 500


class WordIndex:
    """Over the connection of an open file; who calls it holds that, and has begun the transaction that it writes in."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """A file of before there were words gets those of all its texts, once: all of them or none."""
        self._connection = connection
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'worded'").fetchone():
            self._begin()

    def _begin(self) -> None:
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                self._connection.execute(statement)
            texts = self._connection.execute("SELECT slot, text FROM record WHERE text IS NOT NULL")
            while some := texts.fetchmany(_ROWS_AT_ONCE):
                self.put(some)

    def put(self, texts: Sequence[tuple[int, str | None]]) -> None:
        """The words of each text under its slot, where there are none."""
        rows: list[tuple[int, int, float]] = []
        kept: list[tuple[int, bytes]] = []
        for slot, text in texts:
            words = words_of(text)
            if len(words):
                rows += zip(words.tokens.tolist(), [slot] * len(words), words.weights.tolist(), strict=True)
                kept.append((slot, words.tokens.tobytes()))
        rows.sort()  # neighbours of the tree one after the other
        self._connection.executemany("INSERT INTO word VALUES (?, ?, ?)", rows)
        self._connection.executemany("INSERT INTO worded VALUES (?, ?)", kept)

    def forget(self, slots: Sequence[int]) -> None:
        """Take the words of those slots away, of those that have any: one look for all, since most are new."""
        for start in range(0, len(slots), _ROWS_AT_ONCE):
            some = slots[start : start + _ROWS_AT_ONCE]
            kept = self._connection.execute(f"{_KEPT} IN ({','.join('?' * len(some))})", some).fetchall()
            rows = [(token, slot) for slot, tokens in kept for token in np.frombuffer(tokens, dtype=np.uint32).tolist()]
            self._connection.executemany("DELETE FROM word WHERE token = ? AND slot = ?", rows)
            self._connection.executemany("DELETE FROM worded WHERE slot = ?", [(slot,) for slot, _ in kept])

    def best(self, tokens: Sequence[int], limit: int, where: str, values: Sequence[Any]) -> list[tuple[int, float]]:
        """Slots and their scores, best first, of those that hold one of `tokens` and meet `where`."""
        asked = self._asked(tokens)
        if not asked:
            return []
        listed = ", ".join(["(?, ?)"] * len(asked))
        return self._connection.execute(
            f"WITH asked (token, rarity) AS (VALUES {listed}) "  # noqa: S608 - made of our own words and ?
            "SELECT slot, sum(weight * rarity) AS score FROM asked CROSS JOIN word USING (token) "
            f"WHERE {where} GROUP BY slot ORDER BY score DESC LIMIT ?",
            [*(value for pair in asked for value in pair), *values, limit],
        ).fetchall()

    def _asked(self, tokens: Sequence[int]) -> list[tuple[int, float]]:
        """Those of `tokens` that any record holds, with their rarity."""
        (records,) = self._connection.execute("SELECT count(*) FROM worded").fetchone()
        holding = [(token, self._connection.execute(_HOLDING, [token]).fetchone()[0]) for token in tokens]
        return [(token, rarity(records, number)) for token, number in holding if number]
