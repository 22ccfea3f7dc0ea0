"""Appends to the audit log.

Every entry carries HMAC-SHA-256 over the hash before it and its own content, under a key that is not in the database:
who can write the table cannot change, remove or insert an entry without breaking the chain at that place.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from sqlalchemy import Table, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import AuditEntry

# Any constant: entries are chained one at a time.
_TAKE_TURN = text("SELECT pg_advisory_xact_lock(5929495)")
_LATEST = select(AuditEntry.hash).order_by(AuditEntry.number.desc()).limit(1)
_APPEND = insert(cast("Table", AuditEntry.__table__))  # and not the class, which is slower
FIRST_HASH = bytes(32)


@dataclass(frozen=True, slots=True)
class Noted:
    """What is to be logged. `actor` did `action` to `target`; ids, never secrets."""

    action: str
    actor: str | None
    tenant_id: str | None
    target: str | None
    source: str | None
    trace_id: str
    details: dict[str, Any]


class AuditLog:
    def __init__(self, key: str) -> None:
        self._key = key.encode()

    async def append(self, session: AsyncSession, noted: Sequence[Noted]) -> None:
        """Chain the entries into the transaction; others that append wait until it ends."""
        if not noted:
            return
        await session.flush()  # whoever holds the lock must wait for nobody's row, or the two could wait for each other
        await session.execute(_TAKE_TURN)
        before = await session.scalar(_LATEST) or FIRST_HASH
        for one in noted:
            row = {"at": datetime.now(UTC), **{name: getattr(one, name) for name in Noted.__slots__}}
            row["details"] = _as_stored(one.details)
            before = row["hash"] = self.chained(before, row)
            await session.execute(_APPEND, row)

    def chained(self, before: bytes, row: Mapping[str, Any]) -> bytes:
        """The hash of an entry that follows the one whose hash is `before`."""
        fields = ("at", "action", "actor", "tenant_id", "target", "source", "trace_id", "details")
        content = orjson.dumps([row[name] for name in fields], option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)
        return hmac.digest(self._key, before + content, "sha256")


def _as_stored(details: Mapping[str, Any]) -> dict[str, Any]:
    """As JSONB will give them back: plain JSON, with fractions as text, because it has a form of its own for those."""
    stored: dict[str, Any] = json.loads(orjson.dumps(details), parse_float=str)
    return stored
