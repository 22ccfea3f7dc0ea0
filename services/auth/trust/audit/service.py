"""Reading the audit log."""

from dataclasses import astuple

from services.auth.trust.audit.repository import AuditRepository
from services.auth.trust.audit.schemas import AuditEntryRead, AuditFilters
from services.auth.trust.work import Work
from shared.resources import CursorCodec, Page, cut


class AuditService:
    def __init__(self, work: Work, cursors: CursorCodec) -> None:
        self._entries, self._cursors = AuditRepository(work.session), cursors

    async def list_page(self, filters: AuditFilters, limit: int, cursor: str | None) -> Page[AuditEntryRead]:
        """Newest first. Raises Invalid for a cursor of other filters."""
        scope = ["audit", *astuple(filters)]
        position = self._cursors.decode(cursor, scope=scope)
        rows = await self._entries.list_newest(filters, before=position[0] if position else None, limit=limit + 1)
        page, last = cut(rows, limit)
        next_cursor = self._cursors.encode([last.number], scope=scope) if last else None
        return Page(items=[AuditEntryRead.model_validate(row) for row in page], next_cursor=next_cursor)
