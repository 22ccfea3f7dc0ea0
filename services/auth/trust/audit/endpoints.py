"""`/auth/audit`, and `/auth/tenant/audit` for a tenant's own."""

from typing import Annotated

from fastapi import APIRouter, Depends

from services.auth.errors import DelegateRefused
from services.auth.trust.audit.dependencies import Audit
from services.auth.trust.audit.schemas import AuditEntryRead, AuditFilters, TenantAuditEntryRead, TenantAuditFilters
from services.auth.trust.dependencies import Admin, Auditor, Source
from shared.door import GuardedRoute
from shared.errors import responses
from shared.resources import Cursor, Limit, Page

router = APIRouter(prefix="/api/v1/auth/audit", tags=["administration"], route_class=GuardedRoute)
of_tenant = APIRouter(prefix="/api/v1/auth/tenant/audit", tags=["members"], route_class=GuardedRoute)


@router.get(
    "",
    operation_id="auth_list_audit",
    summary="Read the audit log",
    response_model=Page[AuditEntryRead],
    responses=responses(DelegateRefused),
)
async def list_page(
    caller: Admin,
    audit: Audit,
    source: Source,
    filters: Annotated[AuditFilters, Depends()],
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[AuditEntryRead]:
    """Who did what, newest first, for administrators. Whether it was changed is told by `verify-audit`."""
    return (await audit.list_page(caller, filters, limit, cursor, source)).page(AuditEntryRead.model_validate)


@of_tenant.get(
    "",
    operation_id="auth_list_tenant_audit",
    summary="Read my tenant's audit log",
    response_model=Page[TenantAuditEntryRead],
    responses=responses(DelegateRefused),
)
async def list_tenants_page(
    caller: Auditor,
    audit: Audit,
    source: Source,
    filters: Annotated[TenantAuditFilters, Depends()],
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[TenantAuditEntryRead]:
    """Who did what in the tenant that the caller's token acts in, newest first, for its owners.

    What concerns another tenant, or the installation alone, is not here. What members do elsewhere than in auth arrives
    within seconds.
    """
    found = await audit.list_tenants_page(caller, filters, limit, cursor, source)
    return found.page(TenantAuditEntryRead.model_validate)
