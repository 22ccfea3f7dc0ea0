"""`/auth/audit`."""

from typing import Annotated

from fastapi import APIRouter, Depends

from services.auth.errors import DelegateRefused
from services.auth.trust.audit.dependencies import Audit
from services.auth.trust.audit.schemas import AuditEntryRead, AuditFilters
from services.auth.trust.dependencies import Admin
from shared.door import GuardedRoute
from shared.errors import responses
from shared.resources import Cursor, Limit, Page

router = APIRouter(prefix="/auth/audit", tags=["administration"], route_class=GuardedRoute)


@router.get(
    "",
    operation_id="auth_list_audit",
    summary="Read the audit log",
    response_model=Page[AuditEntryRead],
    responses=responses(DelegateRefused),
)
async def list_page(
    _caller: Admin,
    audit: Audit,
    filters: Annotated[AuditFilters, Depends()],
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[AuditEntryRead]:
    """Who did what, newest first, for administrators. Whether it was changed is told by `verify-audit`."""
    return (await audit.list_page(filters, limit, cursor)).page(AuditEntryRead.model_validate)
