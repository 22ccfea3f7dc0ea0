"""Where spans are kept: a file of SQLite that holds the newest and forgets the rest."""

import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final

from local.traces.spans import Span

MOST_SPANS: Final = 200_000
"""About 80 MB."""
MOST_LISTED: Final = 100
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS span (
    trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_id TEXT NOT NULL, service TEXT NOT NULL, name TEXT NOT NULL,
    kind TEXT NOT NULL, started_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL, has_failed INTEGER NOT NULL,
    attributes TEXT NOT NULL, UNIQUE (trace_id, span_id)
)
"""
_COLUMNS: Final = ", ".join(field.name for field in fields(Span))
_PUT: Final = f"INSERT OR IGNORE INTO span ({_COLUMNS}) VALUES ({', '.join('?' * len(fields(Span)))})"  # noqa: S608
_FORGET: Final = "DELETE FROM span WHERE rowid <= (SELECT max(rowid) FROM span) - ?"
_OF_A_TRACE: Final = f"SELECT {_COLUMNS} FROM span WHERE trace_id = ? ORDER BY started_ns, rowid"  # noqa: S608
# The span that began first speaks for its trace; beside one `min` SQLite takes other columns from that row.
_NEWEST: Final = """
WITH whole AS (
    SELECT trace_id, max(ended_ns) AS ended_ns, count(*) AS spans, sum(has_failed) AS failed
    FROM span GROUP BY trace_id
    HAVING (:failed = 0 OR sum(has_failed) > 0) AND (:service = '' OR sum(service = :service) > 0)
), first AS (SELECT trace_id, service, name, min(started_ns) AS started_ns FROM span GROUP BY trace_id)
SELECT trace_id, service, name, started_ns, ended_ns, spans, failed
FROM whole JOIN first USING (trace_id) ORDER BY started_ns DESC LIMIT :most
"""


@dataclass(frozen=True, slots=True)
class Trace:
    """What a list says of one."""

    trace_id: str
    service: str
    name: str
    started_ns: int
    ended_ns: int
    spans: int
    failed: int


class TraceStore:
    """For several threads, one at a time."""

    def __init__(self, path: Path, most_spans: int = MOST_SPANS) -> None:
        self._most, self._lock = most_spans, threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {_SCHEMA};")

    def put(self, spans: Iterable[Span]) -> None:
        """Keeps them; one that is there already is no second one, and the oldest beyond the bound are forgotten."""
        with self._lock, self._connection:
            self._connection.executemany(_PUT, map(astuple, spans))
            self._connection.execute(_FORGET, (self._most,))

    def newest(self, service: str = "", *, failed: bool = False) -> list[Trace]:
        """Those that began last, 100 at most: of all, of those a service took part in, of those with a failure."""
        wanted = {"service": service, "failed": failed, "most": MOST_LISTED}
        with self._lock:
            return [Trace(*row) for row in self._connection.execute(_NEWEST, wanted)]

    def services(self) -> list[str]:
        """Whoever sent anything that is kept."""
        with self._lock:
            return [row[0] for row in self._connection.execute("SELECT DISTINCT service FROM span ORDER BY service")]

    def spans(self, trace_id: str) -> list[Span]:
        """Of a trace, as they began; none where it is not known."""
        with self._lock:
            return [Span(*row) for row in self._connection.execute(_OF_A_TRACE, (trace_id,))]

    def close(self) -> None:
        """Nothing is asked of it afterwards."""
        self._connection.close()
