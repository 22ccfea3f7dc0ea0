"""`/agents/match`."""

from fastapi import APIRouter

from services.agents.dependencies import Matching, Reader
from services.agents.errors import AgentNotFound
from services.agents.matching.schemas import MatchesRead, MatchRequest
from shared.door import GuardedRoute
from shared.errors import responses

router = APIRouter(prefix="/api/v1/agents/match", tags=["agents"], route_class=GuardedRoute)


@router.post(
    "",
    operation_id="agents_match",
    summary="Find who can do something",
    response_model=MatchesRead,
    responses=responses(AgentNotFound),
)
async def match(body: MatchRequest, caller: Reader, matching: Matching) -> MatchesRead:
    """The agents that have all these capabilities, and those that lead to one that has by delegating.

    Own skill first, newest first; then through delegation: within five steps, the shortest path first, then the one
    with the greatest product of weights, then by id. Without `start_id` each agent stands here once, with its best path
    to any agent that is able; with it each able agent once, with the best path from the start. It only reads.

    10,000 agents that have the rarest capability are looked at; from a start 2,000 agents and 20,000 relations.
    `truncated` says if that was not all.
    """
    return MatchesRead.of(await matching.match(caller, body))
