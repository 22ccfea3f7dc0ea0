"""Reading the audit log."""

from dataclasses import astuple
from functools import partial

from services.auth.models import AuditEntry
from services.auth.trust.audit.repository import AuditRepository
from services.auth.trust.audit.schemas import AuditFilters
from shared.postgres import Database
from shared.resources import CursorCodec, Slice


class AuditService:
    """On the database itself: reading is no work, which would note something in this very log."""

    def __init__(self, database: Database, cursors: CursorCodec) -> None:
        self._database, self._cursors = database, cursors

    async def list_page(self, filters: AuditFilters, limit: int, cursor: str | None) -> Slice[AuditEntry]:
        """Newest first. Raises Invalid for a cursor of other filters."""
        async with self._database.session() as session:
            return await self._cursors.slice(
                partial(AuditRepository(session).list_newest, filters),
                key=lambda entry: entry.number,
                scope=["audit", *astuple(filters)],
                limit=limit,
                cursor=cursor,
            )
