"""`/internal/access/changes`: what every service follows."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request

from services.auth.access.changes import AccessChanges
from services.auth.access.schemas import ChangesRead
from services.auth.clients.registry import FOLLOW
from shared.security import requires

internal = APIRouter(prefix="/access")


@internal.get("/changes", response_model=ChangesRead, dependencies=[requires(FOLLOW)])
async def changes(request: Request, since: Annotated[float, Query(ge=0, le=2**40)] = 0) -> ChangesRead:
    """What was revoked since then and still matters, and which keys are published."""
    source: AccessChanges = request.state.changes
    return ChangesRead(**asdict(await source.changes(since)))
