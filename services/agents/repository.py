"""Every statement about agents, over one transaction; each names the tenant.

    (:Agent)-[:HAS_VERSION]->(:AgentVersion)        every version, the current one included
    (:Agent)-[:HAS_CAPABILITY]->(:Capability)       of the current version; one node for each of a tenant's capabilities

An Agent node carries its current version whole, so that reading an agent touches one node.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import orjson
from neo4j import AsyncManagedTransaction
from neo4j.exceptions import ConstraintError

from services.agents.constraints import TEXT_INDEX
from services.agents.domain import Agent, name_key
from services.agents.errors import AgentNameTaken, AgentNotFound
from services.agents.search import text_query

_ONE: LiteralString = "MATCH (a:Agent {id: $id, tenant_id: $tenant_id})"
_LOCK: LiteralString = "SET a.is_locked = true REMOVE a.is_locked"  # a write takes the lock; this one leaves nothing
_SAVE: LiteralString = """
    SET a += $properties
    CREATE (a)-[:HAS_VERSION]->(v:AgentVersion {tenant_id: $tenant_id, agent_id: $id})
    SET v += $version
    WITH a
    CALL (a) {
        MATCH (a)-[old:HAS_CAPABILITY]->(c:Capability) WHERE NOT c.name IN $capabilities
        DELETE old
    }
    UNWIND $capabilities AS capability
    MERGE (c:Capability {tenant_id: $tenant_id, name: capability})
    MERGE (a)-[:HAS_CAPABILITY]->(c)
"""
_SEARCH: LiteralString = f"CALL db.index.fulltext.queryNodes('{TEXT_INDEX}', $text) YIELD node AS a"
_HAS_CAPABILITY: LiteralString = "-[:HAS_CAPABILITY]->(:Capability {tenant_id: $tenant_id, name: $capability})"
_ANYWHERE: LiteralString = "a.created_at IS NOT NULL AND a.id IS NOT NULL"
_AFTER: LiteralString = """
    a.created_at <= $created_at AND a.id IS NOT NULL AND (a.created_at < $created_at OR a.id < $id)
"""


@dataclass(frozen=True, slots=True)
class Position:
    """The place of an agent in lists."""

    created_at: datetime
    id: str


class AgentRepository:
    """The agents of one tenant, as one transaction sees them."""

    def __init__(self, transaction: AsyncManagedTransaction, tenant_id: str) -> None:
        self._transaction = transaction
        self._tenant_id = tenant_id

    async def get(self, agent_id: str) -> Agent:
        """Raises AgentNotFound."""
        rows = await self._run(f"{_ONE} RETURN properties(a) AS agent", id=agent_id)
        if not rows:
            raise AgentNotFound
        return _agent(rows[0])

    async def get_locked(self, agent_id: str) -> Agent:
        """The agent, which nobody else changes until this transaction ends. Raises AgentNotFound."""
        # Reading is a statement of its own: one that waited for the lock may have looked at the agent before it.
        await self._run(f"{_ONE} {_LOCK}", id=agent_id)
        return await self.get(agent_id)

    async def list_newest(
        self, *, capability: str | None, typed: str | None, after: Position | None, limit: int
    ) -> list[Agent]:
        """Up to `limit` agents that come after the position, newest first; those with the capability and the words."""
        statement = f"""
            {_SEARCH if typed else ""}
            MATCH (a:Agent){_HAS_CAPABILITY if capability else ""}
            WHERE a.tenant_id = $tenant_id AND {_AFTER if after else _ANYWHERE}
            RETURN properties(a) AS agent
            ORDER BY a.tenant_id DESC, a.created_at DESC, a.id DESC LIMIT $limit
        """
        rows = await self._run(
            statement,
            text=text_query(self._tenant_id, typed) if typed else None,
            capability=capability,
            created_at=after.created_at if after else None,
            id=after.id if after else None,
            limit=limit,
        )
        return [_agent(row) for row in rows]

    async def create(self, agent: Agent, by: str) -> None:
        """Raises AgentNameTaken."""
        await self._save("CREATE (a:Agent {id: $id, tenant_id: $tenant_id})", agent, by)

    async def save(self, agent: Agent, by: str) -> None:
        """Keep `agent` as the current version, made by the user `by`; earlier ones stay. Raises AgentNameTaken."""
        await self._save(_ONE, agent, by)

    async def delete(self, agent_id: str) -> None:
        """Delete the agent with its versions, if it is there."""
        await self._run(f"{_ONE} OPTIONAL MATCH (a)-[:HAS_VERSION]->(v:AgentVersion) DETACH DELETE v, a", id=agent_id)

    async def _save(self, start: LiteralString, agent: Agent, by: str) -> None:
        content = _content(agent)
        try:
            await self._run(
                start + _SAVE,
                id=agent.id,
                properties=content
                | {
                    "name_key": name_key(agent.name),
                    "created_at": agent.created_at,
                    "updated_at": agent.updated_at,
                },
                version=content | {"created_at": agent.updated_at, "created_by": by},
                capabilities=sorted(agent.capabilities),  # locked in one order by all, or they would deadlock
            )
        except ConstraintError as error:  # ids are fresh and capabilities merged, so only the name can be in the way
            raise AgentNameTaken from error

    async def _run(self, statement: LiteralString, **parameters: Any) -> list[Mapping[str, Any]]:
        result = await self._transaction.run(statement, parameters, tenant_id=self._tenant_id)
        return [record["agent"] async for record in result]


def _content(agent: Agent) -> dict[str, Any]:
    """What a version consists of, as properties; a graph's properties hold no maps, so metadata is JSON text."""
    return {
        "version": agent.version,
        "name": agent.name,
        "description": agent.description,
        "instructions": agent.instructions,
        "model": agent.model,
        "capabilities": list(agent.capabilities),
        "knowledge": list(agent.knowledge),
        "tools": list(agent.tools),
        "metadata": orjson.dumps(agent.metadata).decode(),
    }


def _agent(properties: Mapping[str, Any]) -> Agent:
    return Agent(
        id=properties["id"],
        version=properties["version"],
        name=properties["name"],
        description=properties.get("description"),
        instructions=properties["instructions"],
        model=properties.get("model"),
        capabilities=tuple(properties["capabilities"]),
        knowledge=tuple(properties["knowledge"]),
        tools=tuple(properties["tools"]),
        metadata=orjson.loads(properties["metadata"]),
        created_at=properties["created_at"].to_native(),
        updated_at=properties["updated_at"].to_native(),
    )
