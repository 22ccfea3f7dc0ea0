"""`/internal/access/changes`: what every service follows."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request

from services.auth.trust.changes.schemas import ChangesRead
from services.auth.trust.changes.service import AccessChanges
from services.auth.trust.scopes import FOLLOW
from shared.door import GuardedRoute, requires
from shared.identity import Caller

internal = APIRouter(prefix="/access", route_class=GuardedRoute)


@internal.get("/changes", response_model=ChangesRead)
async def changes(
    _service: Annotated[Caller, requires(FOLLOW)],
    request: Request,
    since: Annotated[float, Query(ge=0, le=2**40)] = 0,
) -> ChangesRead:
    """What was revoked since then and still matters, and which keys are published."""
    source: AccessChanges = request.state.changes
    return ChangesRead(**asdict(await source.changes(since)))
