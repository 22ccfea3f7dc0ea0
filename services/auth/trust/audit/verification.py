"""Verifies the audit log: walks all of it and computes every hash anew.

A changed, inserted or removed entry breaks the chain at that place, and so does another key. Only the newest entries
can be cut off without a trace in the table: who notes a head elsewhere can ask whether it is still there.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.auth.trust.audit.log import FIRST_HASH, AuditLog
from services.auth.trust.audit.repository import AuditRepository
from shared.postgres import Database

_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. `entries` were unbroken, and `head` is the hash of the last of them."""

    entries: int
    head: bytes
    broken_at: int | None
    """The number of the first entry that does not follow from the one before."""
    is_head_missing: bool
    """Whether the expected head was not among the unbroken entries."""

    @property
    def is_good(self) -> bool:
        return self.broken_at is None and not self.is_head_missing


async def verify(database: Database, log: AuditLog, expected_head: bytes | None = None) -> Verdict:
    """Entries that are appended meanwhile are verified too. Raises Unavailable."""
    entries, number, head = 0, 0, FIRST_HASH
    is_head_missing = expected_head is not None
    async with database.session() as session:
        while rows := await AuditRepository(session).list_oldest(after=number, limit=_BATCH):
            for row in rows:
                number = row["number"]
                if not _follows(log, head, row):
                    return Verdict(entries, head, number, is_head_missing)
                head, entries = row["hash"], entries + 1
                is_head_missing = is_head_missing and head != expected_head
    return Verdict(entries, head, None, is_head_missing)


def _follows(log: AuditLog, before: bytes, row: Mapping[str, Any]) -> bool:
    try:
        return hmac.compare_digest(log.chained(before, row), row["hash"])
    except orjson.JSONEncodeError:  # nothing that we wrote
        return False
