"""Who is at work on the attached files of a store, in the catalogue's file: their submissions, writes and changes.

A claim ends by itself at a time, as whoever had it may have died. Each function is carried out as those of
`catalogue_stores`, so nothing comes between what it looks at and what it changes.
"""

import sqlite3
import time
from collections.abc import Sequence
from typing import Final

from services.vectors.domain import Collection
from services.vectors.stores.domain import Attachment, AttachmentStatus, ChangeRefused, FenceMark
from shared.words import Word


class ClaimKind(Word):
    """What somebody is at."""

    SUBMIT = "submit"  # under the version as its token
    WRITE = "write"
    CHANGE = "change"


_CLAIM: Final = (
    "INSERT OR REPLACE INTO attachment_claim (collection_id, file_id, token, kind, ends) VALUES (?, ?, ?, ?, ?)"
)
_LIVE: Final = "SELECT token, kind FROM attachment_claim WHERE collection_id = ? AND file_id = ?"
_OVER: Final = "DELETE FROM attachment_claim WHERE collection_id = ? AND file_id = ? AND ends < ?"
_STATE: Final = "SELECT version, status FROM attachment WHERE collection_id = ? AND file_id = ?"
_RELEASE: Final = "DELETE FROM attachment_claim WHERE collection_id = ? AND token = ?"


def live(connection: sqlite3.Connection, collection: Collection, file_id: str) -> dict[str, ClaimKind]:
    """By their tokens. Within a transaction: those that are over are forgotten."""
    connection.execute(_OVER, (collection.id, file_id, time.time()))
    return {token: ClaimKind(kind) for token, kind in connection.execute(_LIVE, (collection.id, file_id))}


def begin_write(
    connection: sqlite3.Connection, collection: Collection, mark: FenceMark, token: str, seconds: float
) -> bool:
    """As `Stores.begin_write`."""
    with connection:
        if _status(connection, collection, mark) is not AttachmentStatus.IN_PROGRESS:
            return False
        _claim(connection, collection, mark.file_id, token, ClaimKind.WRITE, seconds)
    return True


def begin_change(
    connection: sqlite3.Connection, collection: Collection, mark: FenceMark, token: str, seconds: float
) -> ChangeRefused | None:
    """As `Stores.begin_change`."""
    with connection:
        status = _status(connection, collection, mark)
        if status is None:
            return ChangeRefused.GONE
        others = [one for one in live(connection, collection, mark.file_id) if one != token]
        if status is AttachmentStatus.IN_PROGRESS or others:
            return ChangeRefused.UNDER_WAY
        _claim(connection, collection, mark.file_id, token, ClaimKind.CHANGE, seconds)
    return None


def begin_submissions(
    connection: sqlite3.Connection, collection: Collection, attachments: Sequence[Attachment], seconds: float
) -> None:
    """Within a transaction."""
    for one in attachments:
        _claim(connection, collection, one.file_id, one.version, ClaimKind.SUBMIT, seconds)


def release(connection: sqlite3.Connection, collection: Collection, tokens: Sequence[str]) -> None:
    """As `Stores.release`."""
    with connection:
        connection.executemany(_RELEASE, [(collection.id, token) for token in tokens])


def _status(connection: sqlite3.Connection, collection: Collection, mark: FenceMark) -> AttachmentStatus | None:
    """None where the file is not attached as that version."""
    found = connection.execute(_STATE, (collection.id, mark.file_id)).fetchone()
    return AttachmentStatus(found[1]) if found and found[0] == mark.version else None


def _claim(
    connection: sqlite3.Connection, collection: Collection, file_id: str, token: str, kind: ClaimKind, seconds: float
) -> None:
    connection.execute(_CLAIM, (collection.id, file_id, token, kind.value, time.time() + seconds))
