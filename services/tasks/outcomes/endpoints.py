"""`/internal/ingestions/outcomes`: what vectors asks for in its caller's name; unrouted outside."""

from typing import Annotated

from fastapi import APIRouter

from services.tasks.outcomes.schemas import OutcomesAsked, OutcomesRead
from services.tasks.outcomes.service import OutcomeService
from shared.door import GuardedRoute, held, requires
from shared.identity import Caller

Reader = Annotated[Caller, requires("vectors:read", body="collection", limit="read")]
Outcomes = Annotated[OutcomeService, held("outcomes")]
internal = APIRouter(prefix="/internal/ingestions", route_class=GuardedRoute, include_in_schema=False)


@internal.post("/outcomes", response_model=OutcomesRead)
async def list_of(body: OutcomesAsked, caller: Reader, outcomes: Outcomes) -> OutcomesRead:
    """The state of each that there is."""
    return OutcomesRead(items=list(await outcomes.list_of(caller, body)))
