"""The statements of a walk around an agent, level by level: no path is ever listed, so cycles cost nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, LiteralString

from neo4j import Record

from services.agents.errors import AgentNotFound
from services.agents.network.domain import Edge, Node
from services.agents.relations.domain import RelationType
from services.agents.relations.repository import ANY_RELATION
from services.agents.tenancy import TenantRepository

_NODE: Final[LiteralString] = "b.id AS id, b.name AS name, b.capabilities AS capabilities"
_START: LiteralString = f"MATCH (b:Agent {{id: $id, tenant_id: $tenant_id}}) RETURN {_NODE}"
_NEXT: LiteralString = f"""
    UNWIND $frontier AS at
    MATCH (a:Agent {{id: at, tenant_id: $tenant_id}})-[r:{ANY_RELATION}]-(b:Agent {{tenant_id: $tenant_id}})
    WHERE toLower(type(r)) IN $types AND NOT b.id IN $seen
    WITH DISTINCT b ORDER BY b.id LIMIT $limit
    RETURN {_NODE}
"""
# From the inside out: what a limit cuts off lies at the rim, and is the same each time.
_EDGES: LiteralString = f"""
    UNWIND keys($depths) AS at
    MATCH (a:Agent {{id: at, tenant_id: $tenant_id}})-[r:{ANY_RELATION}]->(b:Agent {{tenant_id: $tenant_id}})
    WHERE toLower(type(r)) IN $types AND $depths[b.id] IS NOT NULL
    RETURN toLower(type(r)) AS type, a.id AS from_id, b.id AS to_id, r.weight AS weight
    ORDER BY $depths[a.id] + $depths[b.id], from_id, type, to_id LIMIT $limit
"""


class NetworkRepository(TenantRepository):
    """A tenant's agents by their relations."""

    async def start(self, agent_id: str) -> Node:
        """The agent itself. Raises AgentNotFound."""
        rows = await self._run(_START, id=agent_id)
        if not rows:
            raise AgentNotFound
        return _node(rows[0], 0)

    async def list_next(
        self, frontier: Sequence[Node], *, seen: Iterable[str], types: Iterable[RelationType], limit: int
    ) -> list[Node]:
        """Up to `limit` agents that are related to one of the `frontier` and not among the `seen`, by their ids."""
        rows = await self._run(
            _NEXT, frontier=[node.id for node in frontier], seen=list(seen), types=list(types), limit=limit
        )
        return [_node(row, frontier[0].depth + 1) for row in rows]

    async def list_edges(self, depths: Mapping[str, int], *, types: Iterable[RelationType], limit: int) -> list[Edge]:
        """Up to `limit` relations among the agents, by how far their ends are away."""
        rows = await self._run(_EDGES, depths=dict(depths), types=list(types), limit=limit)
        return [Edge(RelationType(row["type"]), row["from_id"], row["to_id"], row["weight"]) for row in rows]


def _node(row: Record, depth: int) -> Node:
    return Node(row["id"], row["name"], tuple(row["capabilities"] or ()), depth)
