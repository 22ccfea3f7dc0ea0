"""The use case of surroundings: a walk that is bounded in depth and size."""

from collections.abc import Sequence

from neo4j import AsyncManagedTransaction

from services.agents.domain import READ
from services.agents.graph import Graph
from services.agents.network.domain import MOST_EDGES, MOST_NODES, Network, Node
from services.agents.network.repository import NetworkRepository
from services.agents.relations.domain import RelationType
from shared.identity import Caller


class NetworkService:
    """What a caller may see of how agents are related."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def get(self, caller: Caller, agent_id: str, *, depth: int, types: Sequence[RelationType]) -> Network:
        """The agents within `depth` relations, in whichever direction these lead, and the relations among them.

        It shows other agents and what they are to each other, so it needs the scope itself. Raises MissingScope,
        AgentNotFound, Unavailable.
        """
        caller.require(READ)

        async def work(transaction: AsyncManagedTransaction) -> Network:
            network = NetworkRepository(transaction, caller.tenant_id)
            nodes = await _nodes(network, agent_id, depth, types)
            kept = nodes[:MOST_NODES]
            depths = {node.id: node.depth for node in kept}
            edges = await network.list_edges(depths, types=types, limit=MOST_EDGES + 1)
            is_truncated = len(nodes) > MOST_NODES or len(edges) > MOST_EDGES
            return Network(kept, edges[:MOST_EDGES], is_truncated)

        return await self._graph.read(work)


async def _nodes(network: NetworkRepository, agent_id: str, depth: int, types: Sequence[RelationType]) -> list[Node]:
    """By depth and id, and one more than an answer has where there are more."""
    level = [await network.start(agent_id)]
    found = list(level)
    for _ in range(depth):
        if not level or len(found) > MOST_NODES:
            break
        seen = [node.id for node in found]
        level = await network.list_next(level, seen=seen, types=types, limit=MOST_NODES + 1 - len(found))
        found += level
    return found
