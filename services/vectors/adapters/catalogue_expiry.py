"""When stores that nobody uses expire, in the catalogue's file.

Each function is carried out as those of `catalogue_stores`. Times are seconds since 1970. A store is deleted for having
been seen to be over long enough ago, and not for its end alone: whoever comes back to an installation that was switched
off, or restored, finds what expired meanwhile.
"""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from services.vectors.domain import Collection, CollectionStatus
from services.vectors.stores.domain import Expiry

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS store_expiry (
    collection_id TEXT NOT NULL PRIMARY KEY, days INTEGER NOT NULL, active_at REAL NOT NULL, ends REAL NOT NULL,
    set_by TEXT NOT NULL, seen_over REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS store_expiry_by_end ON store_expiry (ends);
DELETE FROM store_expiry WHERE collection_id NOT IN (SELECT id FROM collection);
"""
_SET: Final = """
INSERT OR REPLACE INTO store_expiry (collection_id, days, active_at, ends, set_by) VALUES (?, ?, ?, ?, ?)
"""
_TOUCH: Final = """
UPDATE store_expiry SET active_at = ?1, ends = ?1 + 86400.0 * days
WHERE collection_id = ?2 AND active_at < ?1 AND ends > ?1
"""
_IS_OVER: Final = "SELECT 1 FROM store_expiry WHERE collection_id = ? AND ends <= ?"
# Whoever used it in the moment before may be written down behind that: what was seen then is of a former end.
_SEE: Final = """
UPDATE store_expiry SET seen_over = ?1 WHERE ends <= ?1 AND (seen_over IS NULL OR seen_over < ends)
"""
_OVER: Final = """
store_expiry.seen_over <= ? AND store_expiry.seen_over >= store_expiry.ends
AND NOT EXISTS (SELECT 1 FROM alias WHERE alias.collection_id = store_expiry.collection_id)
"""
_LIST: Final = f"SELECT collection_id, set_by FROM store_expiry WHERE {_OVER} ORDER BY seen_over LIMIT ?"  # noqa: S608 - our own words
_RETIRE: Final = f"""
UPDATE collection SET status = ?
WHERE id = ? AND EXISTS (SELECT 1 FROM store_expiry WHERE store_expiry.collection_id = collection.id AND {_OVER})
"""  # noqa: S608 - our own words


def put(connection: sqlite3.Connection, collection: Collection, expiry: Expiry) -> None:
    """Within a transaction."""
    times = (expiry.active_at.timestamp(), expiry.at.timestamp())
    connection.execute(_SET, (collection.id, expiry.days, *times, expiry.by))


def find(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Expiry]:
    """Of those collections of which there is one."""
    marks = ", ".join("?" * len(ids))
    statement = f"SELECT collection_id, days, active_at, set_by FROM store_expiry WHERE collection_id IN ({marks})"  # noqa: S608 - our own words
    return {
        one: Expiry(days, datetime.fromtimestamp(active_at, UTC), by)
        for one, days, active_at, by in connection.execute(statement, ids)
    }


def touch(connection: sqlite3.Connection, collection: Collection, at: datetime) -> bool:
    """As `Stores.touch`."""
    now = at.timestamp()
    with connection:
        connection.execute(_TOUCH, (now, collection.id))
    return connection.execute(_IS_OVER, (collection.id, now)).fetchone() is None


def list_over(connection: sqlite3.Connection, at: datetime, seen: datetime, limit: int) -> dict[str, str]:
    """Ids of collections, and by whom their end was set."""
    with connection:
        connection.execute(_SEE, (at.timestamp(),))
    return dict(connection.execute(_LIST, (seen.timestamp(), limit)).fetchall())


def retire(connection: sqlite3.Connection, collection: Collection, seen: datetime) -> bool:
    """As `Stores.retire_expired`."""
    values = (CollectionStatus.DELETING.value, collection.id, seen.timestamp())
    with connection:
        return connection.execute(_RETIRE, values).rowcount == 1
