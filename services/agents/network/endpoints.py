"""`/agents/{id}/graph`."""

from fastapi import APIRouter

from services.agents.dependencies import Networks, Reader
from services.agents.errors import AgentNotFound
from services.agents.network.schemas import Depth, NetworkRead
from services.agents.relations.domain import RelationType
from services.agents.relations.schemas import Types
from shared.door import GuardedRoute
from shared.errors import responses
from shared.schemas import Id

router = APIRouter(prefix="/api/v1/agents/{id}/graph", tags=["agents"], route_class=GuardedRoute)


@router.get(
    "",
    operation_id="agents_get_graph",
    summary="Read the surroundings of an agent",
    response_model=NetworkRead,
    responses=responses(AgentNotFound),
)
async def get(id: Id, caller: Reader, networks: Networks, depth: Depth = 1, types: Types = None) -> NetworkRead:
    """The agents within `depth` relations of these types, whichever way they lead, and the relations among them.

    Breadth first, 200 agents and 1,000 relations at most: where there are more, `truncated` says so, and the farthest
    are missing. A key that is narrowed to one agent does not open it, for it shows others.
    """
    return NetworkRead.of(await networks.get(caller, id, depth=depth, types=types or list(RelationType)))
