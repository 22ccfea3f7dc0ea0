"""Aliases in the catalogue's file, beside its collections: a name is one of the two, and points to what is there.

Each function is carried out on the catalogue's one thread, over its one connection, in a file that has one writer: so
nothing comes between what it looks at and what it changes.
"""

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from services.vectors.adapters import catalogue_copies as copies
from services.vectors.adapters import catalogue_stores as stores
from services.vectors.domain import Alias, AliasRefused, Collection, CollectionStatus

# An earlier version that was started again in between knows no aliases, and deletes what they point to.
SCHEMA = """
CREATE TABLE IF NOT EXISTS alias (
    tenant_id TEXT NOT NULL, name TEXT NOT NULL, collection_id TEXT NOT NULL, version TEXT NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (tenant_id, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS alias_of_collection ON alias (collection_id);
DELETE FROM alias WHERE collection_id NOT IN (SELECT id FROM collection);
"""
RESOLVED = """tenant_id = ?1 AND id = coalesce(
    (SELECT id FROM collection WHERE tenant_id = ?1 AND name = ?2),
    (SELECT collection_id FROM alias WHERE tenant_id = ?1 AND name = ?2)
)"""
REMOVE = "DELETE FROM alias WHERE tenant_id = ? AND name = ? AND version = ?"
_SELECT = """
SELECT alias.tenant_id, alias.name, collection.name, alias.version, alias.created_at, alias.updated_at
FROM alias JOIN collection ON collection.id = alias.collection_id
WHERE alias.tenant_id = ?
"""
_POINT = """
INSERT INTO alias (tenant_id, name, collection_id, version, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (tenant_id, name) DO UPDATE
SET collection_id = excluded.collection_id, version = excluded.version, updated_at = excluded.updated_at
WHERE collection_id <> excluded.collection_id
"""


def find(connection: sqlite3.Connection, tenant_id: str, name: str) -> Alias | None:
    return next(iter(_aliases(connection.execute(_SELECT + "AND alias.name = ?", (tenant_id, name)))), None)


def list_page(connection: sqlite3.Connection, tenant_id: str, after: str, limit: int) -> list[Alias]:
    statement = _SELECT + "AND alias.name > ? ORDER BY alias.name LIMIT ?"
    return _aliases(connection.execute(statement, (tenant_id, after, limit)))


def point(
    connection: sqlite3.Connection, wanted: Alias, collection_id: str, was: str | None, most: int
) -> Alias | AliasRefused:
    """As `Catalogue.point_alias`. What comes twice, its first answer lost, is answered as it was."""
    tenant_id, name = wanted.tenant_id, wanted.name
    if _is_there(connection, "name = ?", tenant_id, name):
        return AliasRefused.NAME_TAKEN
    if not _is_there(connection, "id = ? AND status = ?", tenant_id, collection_id, CollectionStatus.READY.value):
        return AliasRefused.TARGET_GONE
    present = find(connection, tenant_id, name)
    if was is not None and (present is None or present.version not in (was, wanted.version)):
        return AliasRefused.CHANGED
    if present is None and 0 < most <= _count(connection, tenant_id):
        return AliasRefused.TOO_MANY
    created_at, updated_at = wanted.created_at.isoformat(), wanted.updated_at.isoformat()
    with connection:
        connection.execute(_POINT, (tenant_id, name, collection_id, wanted.version, created_at, updated_at))
    return find(connection, tenant_id, name) or AliasRefused.TARGET_GONE


def retire(connection: sqlite3.Connection, collection: Collection) -> str | None:
    """As `Catalogue.retire`."""
    alias = connection.execute("SELECT name FROM alias WHERE collection_id = ? LIMIT 1", (collection.id,)).fetchone()
    if alias:
        return str(alias[0])
    with connection:
        values = (CollectionStatus.DELETING.value, collection.id)
        connection.execute("UPDATE collection SET status = ? WHERE id = ?", values)
        copies.forget(connection, collection.id)
    return None


def remove_with_collection(connection: sqlite3.Connection, collection: Collection) -> None:
    """Both: a replica of an earlier version deletes without asking for aliases."""
    with connection:
        connection.execute("DELETE FROM alias WHERE collection_id = ?", (collection.id,))
        connection.execute("DELETE FROM collection WHERE id = ?", (collection.id,))
        stores.forget(connection, collection.id)
        copies.forget(connection, collection.id)


def _is_there(connection: sqlite3.Connection, where: str, tenant_id: str, *values: str) -> bool:
    statement = f"SELECT 1 FROM collection WHERE tenant_id = ? AND {where}"  # noqa: S608 - our own words
    return connection.execute(statement, (tenant_id, *values)).fetchone() is not None


def _count(connection: sqlite3.Connection, tenant_id: str) -> int:
    (number,) = connection.execute("SELECT count(*) FROM alias WHERE tenant_id = ?", (tenant_id,)).fetchone()
    return int(number)


def _aliases(rows: Iterable[tuple[Any, ...]]) -> list[Alias]:
    return [
        Alias(
            tenant_id,
            name,
            collection,
            version,
            created_at=datetime.fromisoformat(created_at),
            updated_at=datetime.fromisoformat(updated_at),
        )
        for tenant_id, name, collection, version, created_at, updated_at in rows
    ]
