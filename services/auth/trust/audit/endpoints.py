"""`/auth/audit`."""

from typing import Annotated

from fastapi import APIRouter, Depends

from services.auth.dependencies import Audit
from services.auth.trust.audit.schemas import AuditEntryRead, AuditFilters
from shared.door import GuardedRoute, requires
from shared.identity import Caller
from shared.resources import Cursor, Limit, Page

router = APIRouter(prefix="/auth/audit", tags=["administration"], route_class=GuardedRoute)


@router.get(
    "",
    operation_id="auth_list_audit",
    summary="Read the audit log",
    response_model=Page[AuditEntryRead],
)
async def list_page(
    _caller: Annotated[Caller, requires("admin")],
    filters: Annotated[AuditFilters, Depends()],
    audit: Audit,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[AuditEntryRead]:
    """Who did what, newest first, for administrators. Whether it was changed is told by `verify-audit`."""
    return await audit.list_page(filters, limit, cursor)
