"""Attaching files to a store, in the catalogue's file: which of them are ingested anew, and which stand in the way."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from services.vectors.adapters import catalogue_claims as claims
from services.vectors.adapters import catalogue_stores as stores
from services.vectors.adapters.catalogue_claims import ClaimKind
from services.vectors.domain import Collection
from services.vectors.stores.domain import Attached, Attachment, AttachmentStatus, AttachRefused

_THERE: Final = "SELECT 1 FROM collection WHERE id = ?"
_IN_THE_WAY: Final = frozenset({ClaimKind.WRITE, ClaimKind.CHANGE})


def attach(
    connection: sqlite3.Connection,
    collection: Collection,
    attachments: Sequence[Attachment],
    *,
    most: int,
    seconds: float,
) -> Attached:
    """As `Stores.attach`."""
    if connection.execute(_THERE, (collection.id,)).fetchone() is None:
        return Attached(AttachRefused.GONE)
    ids = [one.file_id for one in attachments]
    if _others(connection, collection, ids) + len(ids) > most:
        return Attached(AttachRefused.TOO_MANY)
    there = {one.file_id: one for one in stores.find(connection, collection, ids)}
    anew, kept = list[Attachment](), list[Attachment]()
    with connection:
        for wanted in attachments:
            at_work = set(claims.live(connection, collection, wanted.file_id).values())
            present = there.get(wanted.file_id)
            if present is not None and _stays(present, wanted, at_work):
                kept.append(present if wanted.batch_id is None else replace(present, batch_id=wanted.batch_id))
            elif _is_in_the_way(present, wanted, at_work):
                return Attached(AttachRefused.UNDER_WAY, wanted.file_id)
            else:
                anew.append(wanted)
        stores.put(connection, collection, [*kept, *anew])
        claims.begin_submissions(connection, collection, anew, seconds)
    return Attached(anew=anew)


def _stays(present: Attachment, wanted: Attachment, at_work: set[ClaimKind]) -> bool:
    """By a repetition of the very same request, or by another's that asks for what is under way."""
    if present.version == wanted.version:
        return present.task_id is not None
    return _is_under_way(present, at_work) and present.is_alike(wanted)


def _is_in_the_way(present: Attachment | None, wanted: Attachment, at_work: set[ClaimKind]) -> bool:
    if present is not None and present.version == wanted.version:
        return False
    return bool(at_work & _IN_THE_WAY) or (present is not None and _is_under_way(present, at_work))


def _is_under_way(present: Attachment, at_work: set[ClaimKind]) -> bool:
    """Whether an ingestion goes on that somebody will hear of: what was left by who submitted it, may not write."""
    is_known = present.task_id is not None or ClaimKind.SUBMIT in at_work
    return present.status is AttachmentStatus.IN_PROGRESS and is_known


def _others(connection: sqlite3.Connection, collection: Collection, ids: Sequence[str]) -> int:
    """Files of the store beside those."""
    statement = f"SELECT count(*) FROM attachment WHERE collection_id = ? AND file_id NOT IN ({stores.marks(ids)})"  # noqa: S608
    number: int = connection.execute(statement, (collection.id, *ids)).fetchone()[0]
    return number
