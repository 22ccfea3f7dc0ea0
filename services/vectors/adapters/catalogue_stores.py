"""Vector stores in the catalogue's file: what is told of a collection, and which files are attached to it.

Each function is carried out on the catalogue's one thread, over its one connection, in a file that has one writer: so
nothing comes between what it looks at and what it changes. Rows belong to a collection by its id, which is never used
twice, and go with it.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from services.vectors.adapters import catalogue_expiry as expiring
from services.vectors.domain import Collection, CollectionStatus
from services.vectors.stores.domain import (
    About,
    Attachment,
    AttachmentStatus,
    Batch,
    Chunking,
    Counts,
    Expiry,
    Failure,
    FenceMark,
    Outcome,
    Span,
)

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS store (
    collection_id TEXT NOT NULL PRIMARY KEY, title TEXT, description TEXT, metadata TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attachment (
    collection_id TEXT NOT NULL, file_id TEXT NOT NULL, file_name TEXT NOT NULL, bytes INTEGER NOT NULL,
    attributes TEXT NOT NULL, most_tokens INTEGER, overlap_tokens INTEGER, version TEXT NOT NULL,
    created_at TEXT NOT NULL, batch_id TEXT, task_id TEXT, status TEXT NOT NULL, error_code TEXT, error_detail TEXT,
    PRIMARY KEY (collection_id, file_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS attachment_by_status ON attachment (collection_id, status, bytes);
CREATE INDEX IF NOT EXISTS attachment_by_age ON attachment (collection_id, created_at, file_id);
CREATE INDEX IF NOT EXISTS attachment_of_file ON attachment (file_id);
CREATE TABLE IF NOT EXISTS attachment_claim (
    collection_id TEXT NOT NULL, file_id TEXT NOT NULL, token TEXT NOT NULL, kind TEXT NOT NULL, ends REAL NOT NULL,
    PRIMARY KEY (collection_id, file_id, token)
) WITHOUT ROWID;
DELETE FROM store WHERE collection_id NOT IN (SELECT id FROM collection);
DELETE FROM attachment WHERE collection_id NOT IN (SELECT id FROM collection);
DELETE FROM attachment_claim WHERE collection_id NOT IN (SELECT id FROM collection);
"""
_TABLES: Final = ("store", "store_expiry", "attachment", "attachment_claim")
_COLUMNS: Final = (
    "file_id, file_name, bytes, attributes, most_tokens, overlap_tokens, version, created_at, batch_id, task_id, "
    "status, error_code, error_detail"
)
_DESCRIBE: Final = """
INSERT INTO store (collection_id, title, description, metadata)
SELECT ?1, ?2, ?3, coalesce(?4, '{}') WHERE EXISTS (SELECT 1 FROM collection WHERE id = ?1)
ON CONFLICT (collection_id) DO UPDATE SET
    title = coalesce(?2, title), description = coalesce(?3, description), metadata = coalesce(?4, metadata)
"""
_PUT: Final = f"""
INSERT OR REPLACE INTO attachment (collection_id, {_COLUMNS})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""  # noqa: S608 - our own words
_SETTLE: Final = """
UPDATE attachment SET task_id = coalesce(?1, task_id), status = ?2, error_code = ?3, error_detail = ?4
WHERE collection_id = ?5 AND file_id = ?6 AND version = ?7 AND status = ?8
"""
Told = tuple[str | None, str | None, str | None]
_COUNTED: Final = "sum(CASE WHEN status = 'completed' THEN bytes ELSE 0 END)"


def describe(connection: sqlite3.Connection, collection: Collection, told: Told, expiry: Expiry | None) -> bool:
    """As `Stores.describe`; `told` are title, description and metadata as JSON."""
    with connection:
        is_there = connection.execute(_DESCRIBE, (collection.id, *told)).rowcount == 1
        if is_there and expiry is not None:
            expiring.put(connection, collection, expiry)
    return is_there


def abouts(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, About]:
    """What is told of those collections of which something is."""
    statement = f"SELECT collection_id, title, description, metadata FROM store WHERE collection_id IN ({marks(ids)})"  # noqa: S608
    return {
        row[0]: About(title=row[1], description=row[2], metadata=orjson.loads(row[3]))
        for row in connection.execute(statement, ids)
    }


def counts(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Counts]:
    """Of the files of each of those collections."""
    statement = f"""
    SELECT collection_id, status, count(*), {_COUNTED} FROM attachment
    WHERE collection_id IN ({marks(ids)}) GROUP BY collection_id, status
    """  # noqa: S608 - our own words
    rows = connection.execute(statement, ids).fetchall()
    return {one: _counts([row[1:] for row in rows if row[0] == one]) for one in ids}


def put(connection: sqlite3.Connection, collection: Collection, attachments: Sequence[Attachment]) -> None:
    """Within a transaction."""
    connection.executemany(_PUT, [(collection.id, *_row(one)) for one in attachments])


def find(connection: sqlite3.Connection, collection: Collection, file_ids: Sequence[str]) -> list[Attachment]:
    statement = f"SELECT {_COLUMNS} FROM attachment WHERE collection_id = ? AND file_id IN ({marks(file_ids)})"  # noqa: S608
    return [_attachment(row) for row in connection.execute(statement, (collection.id, *file_ids))]


def list_page(
    connection: sqlite3.Connection,
    collection: Collection,
    span: Span,
    status: AttachmentStatus | None,
    batch_id: str | None,
) -> list[Attachment] | None:
    where, values = ["collection_id = ?"], [collection.id]
    for name, value in (("status", status and status.value), ("batch_id", batch_id)):
        if value is not None:
            where.append(f"{name} = ?")
            values.append(value)
    found = spanned(
        connection,
        f"SELECT {_COLUMNS} FROM attachment",  # noqa: S608 - our own words
        where,
        values,
        span,
        Anchors("attachment", "collection_id", collection.id, "file_id"),
    )
    return None if found is None else [_attachment(row) for row in found]


def find_batch(connection: sqlite3.Connection, collection: Collection, batch_id: str) -> Batch | None:
    statement = f"""
    SELECT status, count(*), {_COUNTED}, min(created_at) FROM attachment
    WHERE collection_id = ? AND batch_id = ? GROUP BY status
    """  # noqa: S608 - our own words
    rows = connection.execute(statement, (collection.id, batch_id)).fetchall()
    if not rows:
        return None
    return Batch(datetime.fromisoformat(min(row[3] for row in rows)), _counts([row[:3] for row in rows]))


def settle(connection: sqlite3.Connection, collection: Collection, outcomes: Sequence[Outcome]) -> None:
    rows = [
        (
            one.task_id,
            one.status.value,
            one.failure and one.failure.code,
            one.failure and one.failure.detail,
            collection.id,
            one.file_id,
            one.version,
            AttachmentStatus.IN_PROGRESS.value,
        )
        for one in outcomes
    ]
    with connection:
        connection.executemany(_SETTLE, rows)


def detach(connection: sqlite3.Connection, collection: Collection, mark: FenceMark) -> bool:
    """With it goes whoever changed it: that was the change."""
    of_file = (collection.id, mark.file_id)
    statement = "DELETE FROM attachment WHERE collection_id = ? AND file_id = ? AND version = ?"
    with connection:
        is_gone = connection.execute(statement, (*of_file, mark.version)).rowcount == 1
        if is_gone:
            connection.execute("DELETE FROM attachment_claim WHERE collection_id = ? AND file_id = ?", of_file)
    return is_gone


def list_attached(connection: sqlite3.Connection, tenant_id: str, file_id: str) -> list[str]:
    statement = """
    SELECT collection.name FROM attachment JOIN collection ON collection.id = attachment.collection_id
    WHERE attachment.file_id = ? AND collection.tenant_id = ? AND collection.status <> ? ORDER BY collection.name
    """
    rows = connection.execute(statement, (file_id, tenant_id, CollectionStatus.DELETING.value))
    return [row[0] for row in rows]


def forget(connection: sqlite3.Connection, collection_id: str) -> None:
    """Within a transaction: the collection is gone."""
    for table in _TABLES:
        connection.execute(f"DELETE FROM {table} WHERE collection_id = ?", (collection_id,))  # noqa: S608 - our own words


class Anchors:
    """Where the rows stand at which a list may begin, and what they are named by."""

    def __init__(self, table: str, owner: str, owned_by: str, name: str) -> None:
        self.table, self.owner, self.owned_by, self.name = table, owner, owned_by, name


def spanned(
    connection: sqlite3.Connection, select: str, where: list[str], values: list[Any], span: Span, anchors: Anchors
) -> list[Any] | None:
    """The rows of `span` in its order, by age and then by name. None where it begins at what is not there."""
    backwards = span.before is not None
    newest_first = span.newest_first != backwards
    anchor = span.before if backwards else span.after
    if anchor is not None:
        statement = f"SELECT created_at FROM {anchors.table} WHERE {anchors.owner} = ? AND {anchors.name} = ?"  # noqa: S608
        at = connection.execute(statement, (anchors.owned_by, anchor)).fetchone()
        if at is None:
            return None
        where = [*where, f"(created_at, {anchors.name}) {'<' if newest_first else '>'} (?, ?)"]
        values = [*values, at[0], anchor]
    way = "DESC" if newest_first else "ASC"
    order = f"ORDER BY created_at {way}, {anchors.name} {way} LIMIT ?"
    rows = connection.execute(f"{select} WHERE {' AND '.join(where)} {order}", [*values, span.limit]).fetchall()
    return rows[::-1] if backwards else rows


def _counts(rows: Sequence[tuple[str, int, int]]) -> Counts:
    numbers = {status: number for status, number, _ in rows}
    return Counts(**numbers, bytes=sum(size for _, _, size in rows))


def marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()


def _row(one: Attachment) -> tuple[Any, ...]:
    return (
        one.file_id,
        one.file_name,
        one.bytes,
        _json(one.attributes),
        one.chunking.most_tokens,
        one.chunking.overlap_tokens,
        one.version,
        one.created_at.isoformat(),
        one.batch_id,
        one.task_id,
        one.status.value,
        one.failure and one.failure.code,
        one.failure and one.failure.detail,
    )


def _attachment(row: Sequence[Any]) -> Attachment:
    (
        file_id,
        file_name,
        size,
        attributes,
        most,
        overlap,
        version,
        created_at,
        batch_id,
        task_id,
        status,
        code,
        detail,
    ) = row
    return Attachment(
        file_id=file_id,
        file_name=file_name,
        bytes=size,
        attributes=orjson.loads(attributes),
        chunking=Chunking(most, overlap),
        version=version,
        created_at=datetime.fromisoformat(created_at),
        batch_id=batch_id,
        task_id=task_id,
        status=AttachmentStatus(status),
        failure=Failure(code, detail) if code else None,
    )
