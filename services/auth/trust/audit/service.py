"""Reading the audit log."""

from dataclasses import astuple
from functools import partial
from typing import Any, Protocol

from services.auth.models import AuditEntry
from services.auth.trust.audit.actions import Action
from services.auth.trust.audit.entries import acting
from services.auth.trust.audit.repository import AuditRepository
from services.auth.trust.audit.schemas import AuditFilters, TenantAuditFilters
from shared.identity import Caller
from shared.postgres import Database
from shared.resources import CursorCodec, Slice


class Notes(Protocol):
    """Who keeps what was done, in a transaction of its own (`services.auth.trust.work.Works`)."""

    async def note(self, action: Action, *, source: str | None = None, **said: Any) -> None:
        """That it was done, from that address. Raises Unavailable."""


class AuditService:
    """Who reads the log is noted in it, for the next reader."""

    def __init__(self, database: Database, notes: Notes, cursors: CursorCodec) -> None:
        self._database, self._notes, self._cursors = database, notes, cursors

    async def list_page(
        self, caller: Caller, filters: AuditFilters, limit: int, cursor: str | None, source: str | None
    ) -> Slice[AuditEntry]:
        """Newest first. Raises Invalid for a cursor of other filters."""
        return await self._page(caller, filters, None, limit, cursor, source)

    async def list_tenants_page(
        self, caller: Caller, filters: TenantAuditFilters, limit: int, cursor: str | None, source: str | None
    ) -> Slice[AuditEntry]:
        """What concerns the caller's tenant and no other, newest first. Raises Invalid for a cursor of another list."""
        return await self._page(caller, filters, caller.tenant_id, limit, cursor, source)

    async def _page(
        self,
        caller: Caller,
        filters: TenantAuditFilters,
        tenant_id: str | None,
        limit: int,
        cursor: str | None,
        source: str | None,
    ) -> Slice[AuditEntry]:
        async with self._database.session() as session:
            page = await self._cursors.slice(
                partial(AuditRepository(session, tenant_id).list_newest, filters),
                key=lambda entry: entry.number,
                scope=["audit", tenant_id, *astuple(filters)],
                limit=limit,
                cursor=cursor,
            )
        who = {"by": caller} if tenant_id else {"actor": caller.subject, **acting(caller)}
        await self._notes.note(Action.AUDIT_READ, source=source, **who)
        return page
