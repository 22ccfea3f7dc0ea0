"""The statements of a search for who is able, level by level.

Each level keeps one way to each agent, the heaviest: of the shortest ways these are the heaviest as a whole, since
weights are positive. So a graph of however many paths costs what its relations cost.
"""

from collections.abc import Iterable, Sequence
from typing import LiteralString, NamedTuple

from neo4j import Record

from services.agents.errors import AgentNotFound
from services.agents.matching.domain import Reached
from services.agents.relations.domain import AgentName
from services.agents.tenancy import TenantRepository

_OUT_DEGREE: LiteralString = "COUNT { (n)-[:DELEGATES_TO]->() } AS delegates"
_IS_ABLE: LiteralString = "all(name IN $capabilities WHERE name IN n.capabilities) AS is_able"
_RAREST: LiteralString = """
    UNWIND $capabilities AS name
    OPTIONAL MATCH (c:Capability {tenant_id: $tenant_id, name: name})
    WITH name, CASE WHEN c IS NULL THEN 0 ELSE COUNT { (c)<-[:HAS_CAPABILITY]-() } END AS agents
    RETURN name, agents ORDER BY agents, name LIMIT 1
"""
_ABLE: LiteralString = f"""
    MATCH (c:Capability {{tenant_id: $tenant_id, name: $rarest}})<-[:HAS_CAPABILITY]-(n:Agent {{tenant_id: $tenant_id}})
    WITH n LIMIT $most
    WITH n, {_IS_ABLE} WHERE is_able
    RETURN n.id AS id, n.name AS name, 1.0 AS weight, null AS via, is_able, {_OUT_DEGREE}
    ORDER BY n.created_at DESC, n.id DESC LIMIT $limit
"""
_START: LiteralString = f"""
    MATCH (n:Agent {{id: $id, tenant_id: $tenant_id}})
    RETURN n.id AS id, n.name AS name, 1.0 AS weight, null AS via, {_IS_ABLE}, {_OUT_DEGREE}
"""
_FRONTIER: LiteralString = "UNWIND $frontier AS at MATCH (a:Agent {id: at.id, tenant_id: $tenant_id})"
_BEST: LiteralString = f"""
    WHERE NOT n.id IN $seen
    WITH n, max([at.weight * r.weight, at.id]) AS best
    WITH n, best ORDER BY best[0] DESC, n.id LIMIT $limit
    RETURN n.id AS id, n.name AS name, best[0] AS weight, best[1] AS via, {_IS_ABLE}, {_OUT_DEGREE}
    ORDER BY weight DESC, id
"""
_DELEGATES: LiteralString = f"{_FRONTIER}-[r:DELEGATES_TO]->(n:Agent {{tenant_id: $tenant_id}}) {_BEST}"
_DELEGATING: LiteralString = f"{_FRONTIER}<-[r:DELEGATES_TO]-(n:Agent {{tenant_id: $tenant_id}}) {_BEST}"


class Rarest(NamedTuple):
    """The capability that the fewest agents have, and how many do."""

    name: str
    agents: int


class MatchingRepository(TenantRepository):
    """A tenant's agents by what they can do, and whom they delegate to."""

    async def rarest(self, capabilities: Sequence[str]) -> Rarest:
        """Of at least one."""
        [row] = await self._run(_RAREST, capabilities=capabilities)
        return Rarest(row["name"], row["agents"])

    async def list_able(self, capabilities: Sequence[str], *, rarest: str, most: int, limit: int) -> list[Reached]:
        """Up to `limit` agents that have all the capabilities, newest first, among `most` that have the rarest."""
        rows = await self._run(_ABLE, capabilities=capabilities, rarest=rarest, most=most, limit=limit)
        return [_reached(row) for row in rows]

    async def start(self, agent_id: str, capabilities: Sequence[str]) -> Reached:
        """Raises AgentNotFound."""
        rows = await self._run(_START, id=agent_id, capabilities=capabilities)
        if not rows:
            raise AgentNotFound(f"There is no agent {agent_id}.")
        return _reached(rows[0])

    async def list_delegates(
        self, frontier: Sequence[Reached], *, seen: Iterable[str], capabilities: Sequence[str], limit: int
    ) -> list[Reached]:
        """Up to `limit` agents whom the `frontier` delegates to and that are not among the `seen`, heaviest first."""
        return await self._next(_DELEGATES, frontier, seen, capabilities, limit)

    async def list_delegating(
        self, frontier: Sequence[Reached], *, seen: Iterable[str], capabilities: Sequence[str], limit: int
    ) -> list[Reached]:
        """The same of agents that delegate to the `frontier`."""
        return await self._next(_DELEGATING, frontier, seen, capabilities, limit)

    async def _next(
        self,
        statement: LiteralString,
        frontier: Sequence[Reached],
        seen: Iterable[str],
        capabilities: Sequence[str],
        limit: int,
    ) -> list[Reached]:
        at = [{"id": one.agent.id, "weight": one.weight} for one in frontier]
        rows = await self._run(statement, frontier=at, seen=list(seen), capabilities=capabilities, limit=limit)
        return [_reached(row) for row in rows]


def _reached(row: Record) -> Reached:
    agent = AgentName(row["id"], row["name"])
    return Reached(agent, row["weight"], row["via"], bool(row["is_able"]), row["delegates"])
