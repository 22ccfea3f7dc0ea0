"""`/vectors/usage`."""

from fastapi import APIRouter

from services.vectors.dependencies import Files, Reader, Usages
from services.vectors.usage.schemas import TenantUsageRead
from shared.door import GuardedRoute

router = APIRouter(prefix="/api/v1/vectors/usage", tags=["vectors"], route_class=GuardedRoute)


@router.get("", operation_id="vectors_get_usage", summary="What the tenant has", response_model=TenantUsageRead)
async def get(caller: Reader, usage: Usages, files: Files) -> TenantUsageRead:
    """Collections, records, files and bytes of the caller's tenant, and how many it may have."""
    return TenantUsageRead.of(await usage.get(caller), await files.usage(caller), usage.quotas, files.limits)
