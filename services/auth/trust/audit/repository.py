"""Every statement that reads the audit log."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import AuditEntry
from services.auth.trust.audit.schemas import AuditFilters, TenantAuditFilters

_COLUMNS = AuditEntry.__table__.c


class AuditRepository:
    """The entries that concern one tenant; without a `tenant_id`, all."""

    def __init__(self, session: AsyncSession, tenant_id: str | None = None) -> None:
        self._session = session
        self._visible = [AuditEntry.tenant_id == tenant_id] if tenant_id is not None else []

    async def list_newest(self, filters: TenantAuditFilters, before: int | None, limit: int) -> list[AuditEntry]:
        """Up to `limit` matching entries with smaller numbers than `before`."""
        statement = select(AuditEntry).where(*self._visible).order_by(AuditEntry.number.desc()).limit(limit)
        if before is not None:
            statement = statement.where(AuditEntry.number < before)
        return list(await self._session.scalars(_filtered(statement, filters)))

    async def list_oldest(self, *, after: int, limit: int) -> Sequence[dict[str, Any]]:
        """Up to `limit` whole rows with greater numbers than `after`, as they are in the table."""
        statement = select(*_COLUMNS).where(_COLUMNS.number > after).order_by(_COLUMNS.number).limit(limit)
        return [dict(row) for row in (await self._session.execute(statement)).mappings()]


def _filtered(statement: Select[AuditEntry], filters: TenantAuditFilters) -> Select[AuditEntry]:
    for column, value in (
        (AuditEntry.actor, filters.actor),
        (AuditEntry.tenant_id, filters.tenant_id if isinstance(filters, AuditFilters) else None),
        (AuditEntry.target, filters.target),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if filters.action is not None:
        statement = statement.where(_is_or_begins(filters.action))
    if filters.since is not None:
        statement = statement.where(AuditEntry.at >= filters.since)
    if filters.until is not None:
        statement = statement.where(AuditEntry.at < filters.until)
    return statement


def _is_or_begins(action: str) -> ColumnElement[bool]:
    return or_(AuditEntry.action == action, AuditEntry.action.startswith(f"{action}.", autoescape=True))
