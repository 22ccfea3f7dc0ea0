"""Every statement about relations; each names the tenant at both ends.

    (:Agent)-[r:DELEGATES_TO|REPORTS_TO|SHARES_KNOWLEDGE_WITH]->(:Agent)
    r {weight, metadata, version, created_at, updated_at}

Whoever makes, changes or deletes one holds the locks of both agents, taken in the order of their ids: so what is
counted stays so, and two at once wait for each other instead of deadlocking.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, LiteralString

import orjson
from neo4j import Record

from services.agents.errors import AgentNotFound, RelationNotFound, TooManyRelations
from services.agents.relations.domain import (
    MOST_RELATIONS,
    AgentName,
    Direction,
    Ends,
    Relation,
    RelationType,
    Said,
)
from services.agents.repository import AgentRepository
from services.agents.tenancy import TenantRepository
from shared.schemas import new_id

STORED_AS: Final[dict[RelationType, LiteralString]] = {
    RelationType.DELEGATES_TO: "DELEGATES_TO",
    RelationType.REPORTS_TO: "REPORTS_TO",
    RelationType.SHARES_KNOWLEDGE_WITH: "SHARES_KNOWLEDGE_WITH",
}
ANY_RELATION: Final[LiteralString] = "DELEGATES_TO|REPORTS_TO|SHARES_KNOWLEDGE_WITH"

_LOCK: LiteralString = """
    MATCH (a:Agent) WHERE a.tenant_id = $tenant_id AND a.id IN $ids
    WITH a ORDER BY a.id
    SET a.is_locked = true REMOVE a.is_locked
"""
_COUNT: LiteralString = f"""
    MATCH (a:Agent) WHERE a.tenant_id = $tenant_id AND a.id IN $ids
    RETURN a.id AS id, COUNT {{ (a)-[:{ANY_RELATION}]-() }} AS relations
"""
_SEEN: LiteralString = f"""
    MATCH (a:Agent {{id: $id, tenant_id: $tenant_id}})-[r:{ANY_RELATION}]-(b:Agent {{tenant_id: $tenant_id}})
    WITH r, b, toLower(type(r)) AS type,
        CASE
            WHEN type(r) = 'SHARES_KNOWLEDGE_WITH' THEN 'both' WHEN startNode(r) = a THEN 'out' ELSE 'in'
        END AS direction
"""
_RETURN: LiteralString = "RETURN properties(r) AS relation, type, direction, b.id AS other_id, b.name AS other_name"
_ONE: LiteralString = f"{_SEEN} WHERE type = $type AND b.id = $other_id AND direction IN ['out', 'both'] {_RETURN}"
_PAGE: LiteralString = f"""
    {_SEEN}
    WITH *, type + ' ' + b.id + ' ' + direction AS position
    WHERE type IN $types AND direction IN $directions AND position > $after
    {_RETURN} ORDER BY position LIMIT $limit
"""
_STORE: Final[dict[RelationType, LiteralString]] = {
    type: f"""
        UNWIND $relations AS said
        MATCH (a:Agent {{id: said.start_id, tenant_id: $tenant_id}})
        MATCH (b:Agent {{id: said.end_id, tenant_id: $tenant_id}})
        MERGE (a)-[r:{stored}]->(b)
        ON CREATE SET r.created_at = $now
        SET r.weight = said.weight, r.metadata = said.metadata, r.version = said.version, r.updated_at = $now
    """
    for type, stored in STORED_AS.items()
}
_DELETE: Final[dict[RelationType, LiteralString]] = {
    type: f"""
        MATCH (:Agent {{id: $start_id, tenant_id: $tenant_id}})-[r:{stored}]->
              (:Agent {{id: $end_id, tenant_id: $tenant_id}})
        DELETE r
    """
    for type, stored in STORED_AS.items()
}


class RelationRepository(TenantRepository):
    """The relations of a tenant's agents."""

    async def lock(self, *agent_ids: str) -> None:
        """Nobody else relates, changes or deletes these agents until the transaction ends. Raises AgentNotFound."""
        await self._lock(agent_ids)
        await self._agents.require(*agent_ids)

    async def lock_present(self, agent_ids: Iterable[str]) -> set[str]:
        """The same for those of them that are there, which are returned."""
        ids = sorted(agent_ids)
        await self._lock(ids)
        return await self._agents.present(ids)

    async def _lock(self, agent_ids: Iterable[str]) -> None:
        """Tells nothing of them: a statement that waited for a lock may have found who is deleted meanwhile."""
        await self._run(_LOCK, ids=sorted(agent_ids))

    @property
    def _agents(self) -> AgentRepository:
        return AgentRepository(self._transaction, self._tenant_id)

    async def room(self, agent_ids: Iterable[str]) -> dict[str, int]:
        """How many more relations each of the agents that are there may have."""
        rows = await self._run(_COUNT, ids=list(agent_ids))
        return {row["id"]: MOST_RELATIONS - row["relations"] for row in rows}

    async def require_room(self, *agent_ids: str) -> None:
        """Raises TooManyRelations where one more is one too many for any of the agents, AgentNotFound."""
        room = await self.room(agent_ids)
        for agent_id in agent_ids:
            if agent_id not in room:
                raise AgentNotFound(f"There is no agent {agent_id}.")
            if room[agent_id] <= 0:
                raise TooManyRelations(agent_id)

    async def find(self, agent_id: str, type: RelationType, other_id: str) -> Relation | None:
        """The relation, as `agent_id` sees it."""
        rows = await self._run(_ONE, id=agent_id, type=type, other_id=other_id)
        return _relation(rows[0]) if rows else None

    async def get(self, agent_id: str, type: RelationType, other_id: str) -> Relation:
        """Raises RelationNotFound."""
        found = await self.find(agent_id, type, other_id)
        if found is None:
            raise RelationNotFound
        return found

    async def list_by_type(
        self, agent_id: str, *, types: Iterable[RelationType], direction: Direction, after: str | None, limit: int
    ) -> list[Relation]:
        """Up to `limit` that follow the position, by type and the other agent's id."""
        # What goes both ways is among those that go either way.
        directions = list(Direction) if direction is Direction.BOTH else [direction, Direction.BOTH]
        rows = await self._run(
            _PAGE, id=agent_id, types=list(types), directions=directions, after=after or "", limit=limit
        )
        return [_relation(row) for row in rows]

    async def store(self, relations: Iterable[Said], now: datetime) -> None:
        """Make the relations, or change those that are there: a statement for each type, however many they are."""
        by_type: dict[RelationType, list[dict[str, Any]]] = {}
        for one in relations:
            by_type.setdefault(one.ends.type, []).append(_stored(one))
        for type, stored in by_type.items():
            await self._run(_STORE[type], relations=stored, now=now)

    async def delete(self, ends: Ends) -> None:
        """Delete the relation, if it is there."""
        await self._run(_DELETE[ends.type], start_id=ends.start_id, end_id=ends.end_id)


def _stored(said: Said) -> dict[str, Any]:
    return {
        "start_id": said.ends.start_id,
        "end_id": said.ends.end_id,
        "weight": said.weight,
        "metadata": orjson.dumps(said.metadata).decode(),
        "version": new_id(),
    }


def _relation(row: Record) -> Relation:
    properties: Mapping[str, Any] = row["relation"]
    return Relation(
        type=RelationType(row["type"]),
        direction=Direction(row["direction"]),
        agent=AgentName(row["other_id"], row["other_name"]),
        weight=properties["weight"],
        metadata=orjson.loads(properties["metadata"]),
        version=properties["version"],
        created_at=properties["created_at"].to_native(),
        updated_at=properties["updated_at"].to_native(),
    )
