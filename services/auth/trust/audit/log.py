"""Appends to the audit log.

Every entry carries HMAC-SHA-256 over the hash before it and its own content, under a key that is not in the database:
who can write the table cannot change, remove or insert an entry without breaking the chain at that place.

What anybody may do without end is written once and then counted (`repeats.py`).
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Final, cast

import orjson
from sqlalchemy import Table, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import AuditEntry
from services.auth.trust.audit.entries import Noted
from services.auth.trust.audit.repeats import OpenRepeats
from services.auth.trust.audit.windows import WindowRepository, summary
from shared.postgres import Database

# Any constant: entries are chained one at a time.
_TAKE_TURN = text("SELECT pg_advisory_xact_lock(5929495)")
_LATEST = select(AuditEntry.hash).order_by(AuditEntry.number.desc()).limit(1)
_APPEND = insert(cast("Table", AuditEntry.__table__))  # and not the class, which is slower
_FIELDS: Final = tuple(field.name for field in fields(Noted) if field.name != "times")
_CLOSED_AT_ONCE = 100  # others that append wait so long
FIRST_HASH = bytes(32)


class AuditLog:
    """The log as one process writes it."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self.repeats = OpenRepeats()

    async def append(self, session: AsyncSession, noted: Sequence[Noted]) -> None:
        """Chain the entries into the transaction; others that append wait until it ends.

        Repetitions of what this process knows are counted in memory, and cost the transaction nothing.
        """
        new = [one for one in noted if not (one.is_repeatable and self.repeats.count(one))]
        if not new:
            return
        await session.flush()  # whoever holds the lock must wait for nobody's row, or the two could wait for each other
        await session.execute(_TAKE_TURN)
        windows = WindowRepository(session)
        begun = [await self.repeats.begin(windows, one) if one.is_repeatable else one for one in new]
        await self._chain(session, [one for one in begun if one])

    async def settle(self, database: Database) -> None:
        """Write what was counted, and append how often that was repeated whose window is over. Raises Unavailable."""
        await self.repeats.write(database)
        while await self._close_windows(database):
            pass

    async def _close_windows(self, database: Database) -> bool:
        """Whether there may be more."""
        async with database.transaction() as session:
            await session.execute(_TAKE_TURN)  # before the rows are taken, as `append` does
            over = await WindowRepository(session).take_over(_CLOSED_AT_ONCE)
            await self._chain(session, [summary(one) for one in over if one.repeated])
        return len(over) == _CLOSED_AT_ONCE

    async def _chain(self, session: AsyncSession, noted: Sequence[Noted]) -> None:
        before = await session.scalar(_LATEST) or FIRST_HASH
        for one in noted:
            row = {name: getattr(one, name) for name in _FIELDS}
            row["at"] = one.at or datetime.now(UTC)
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
