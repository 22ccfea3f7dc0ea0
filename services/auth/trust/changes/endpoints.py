"""`/internal/access/changes`: what every service follows."""

from typing import Annotated

from fastapi import APIRouter, Query

from services.auth.trust.changes.dependencies import Changes, Follower
from services.auth.trust.changes.schemas import ChangesRead
from shared.door import GuardedRoute

internal = APIRouter(prefix="/internal/access", route_class=GuardedRoute, include_in_schema=False)


@internal.get("/changes", response_model=ChangesRead)
async def list_changes(
    _follower: Follower, changes: Changes, since: Annotated[float, Query(ge=0, le=2**37)] = 0
) -> ChangesRead:
    """What was revoked since then and still matters, and which keys are published."""
    return ChangesRead.model_validate(await changes.changes(since))
