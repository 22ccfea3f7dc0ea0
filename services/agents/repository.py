"""Every statement about agents, over one transaction; each names the tenant.

    (:Agent)-[:HAS_VERSION]->(:AgentVersion)        every version, the current one included
    (:Agent)-[:HAS_CAPABILITY|KNOWS|USES]->(…)      to what the current version names (`services.agents.links`)

An Agent node carries its current version whole, so that reading an agent touches one node. What changes an agent writes
the event that tells of it, in the same statement (`services.agents.outbox`).
"""

from collections.abc import Iterable, Mapping
from typing import Any, LiteralString

import orjson
from neo4j.exceptions import ConstraintError

from services.agents.domain import KEPT_VERSIONS, Agent, Content, History, name_key
from services.agents.errors import AgentNameTaken, AgentNotFound
from services.agents.events import AgentChanged, Event
from services.agents.links import linked
from services.agents.listing import Filters, Position, listing
from services.agents.outbox import WRITTEN, written
from services.agents.places import moment, place, tenant_word
from services.agents.searching import SearchRepository
from services.agents.tenancy import TenantRepository

_ONE: LiteralString = "MATCH (a:Agent {id: $id, tenant_id: $tenant_id})"
_NAMED: LiteralString = """
    MATCH (a:Agent {tenant_id: $tenant_id, name_key: $name_key}) RETURN properties(a) AS agent
"""
_PRESENT: LiteralString = "MATCH (a:Agent) WHERE a.tenant_id = $tenant_id AND a.id IN $ids RETURN a.id AS id"
_LOCK: LiteralString = "SET a.is_locked = true REMOVE a.is_locked"  # a write takes the lock; this one leaves nothing
_LOCK_RELATED: LiteralString = f"""
    {_ONE}
    OPTIONAL MATCH (a)--(b:Agent {{tenant_id: $tenant_id}})
    WITH a, collect(DISTINCT b) AS related
    UNWIND [a] + related AS locked
    WITH locked ORDER BY locked.id
    SET locked.is_locked = true REMOVE locked.is_locked
"""
_SAVE: LiteralString = """
    SET a += $properties
    CREATE (a)-[:HAS_VERSION]->(v:AgentVersion {tenant_id: $tenant_id, agent_id: $id})
    SET v += $version
    WITH a
"""
# More than one goes only where an earlier release kept them all.
_FORGOTTEN_AT_ONCE = 100
_FORGET: LiteralString = """
    MATCH (v:AgentVersion) WHERE v.tenant_id = $tenant_id AND v.agent_id = $id AND v.version <= $oldest
    WITH v ORDER BY v.tenant_id, v.agent_id, v.version LIMIT $limit
    DETACH DELETE v
"""
_DELETE: LiteralString = f"""
    {_ONE}
    CALL (a) {{ MATCH (a)-[:HAS_VERSION]->(v:AgentVersion {{tenant_id: $tenant_id}}) DETACH DELETE v }}
    DETACH DELETE a
    {WRITTEN}
"""


class AgentRepository(TenantRepository):
    """The agents of one tenant, as one transaction sees them."""

    async def get(self, agent_id: str) -> Agent:
        """Raises AgentNotFound."""
        rows = await self._run(f"{_ONE} RETURN properties(a) AS agent", id=agent_id)
        if not rows:
            raise AgentNotFound
        return _agent(rows[0]["agent"])

    async def get_named(self, name: str) -> Agent:
        """The agent of this name, whatever its case. Raises AgentNotFound."""
        rows = await self._run(_NAMED, name_key=name_key(name))
        if not rows:
            raise AgentNotFound
        return _agent(rows[0]["agent"])

    async def require(self, *agent_ids: str) -> None:
        """Raises AgentNotFound, which says which of them is not there."""
        found = await self.present(agent_ids)
        for agent_id in agent_ids:
            if agent_id not in found:
                raise AgentNotFound(f"There is no agent {agent_id}.")

    async def present(self, agent_ids: Iterable[str]) -> set[str]:
        """Those of them that are there."""
        return {row["id"] for row in await self._run(_PRESENT, ids=list(agent_ids))}

    async def get_locked(self, agent_id: str) -> Agent:
        """The agent, which nobody else changes until this transaction ends. Raises AgentNotFound."""
        # Reading is a statement of its own: one that waited for the lock may have looked at the agent before it.
        await self._run(f"{_ONE} {_LOCK}", id=agent_id)
        return await self.get(agent_id)

    async def lock_with_related(self, agent_id: str) -> None:
        """Lock the agent, if it is there, and those it is related to, in the order that whoever relates them keeps."""
        await self._run(_LOCK_RELATED, id=agent_id)

    async def list_newest(self, filters: Filters, *, after: Position | None, limit: int) -> list[Agent]:
        """Up to `limit` agents that come after the position, newest first, of those that match all filters."""
        if filters.are_searched:
            search = SearchRepository(self._transaction, self._tenant_id)
            return [_agent(found) for found in await search.list_newest(filters, after=after, limit=limit)]
        page = listing(filters, after, limit)
        return [_agent(row["agent"]) for row in await self._run(page.statement, **page.parameters)]

    async def create(self, agent: Agent, by: str) -> None:
        """Raises AgentNameTaken."""
        await self._save("CREATE (a:Agent {id: $id, tenant_id: $tenant_id})", agent, by, Event.CREATED)

    async def save(self, agent: Agent, by: str) -> None:
        """Keep `agent` as the current version, made by the user `by`; those before it stay, up to a thousand.

        Raises AgentNameTaken.
        """
        await self._save(_ONE, agent, by, Event.UPDATED)
        if agent.version > KEPT_VERSIONS:
            await self._run(_FORGET, id=agent.id, oldest=agent.version - KEPT_VERSIONS, limit=_FORGOTTEN_AT_ONCE)

    async def delete(self, agent: Agent, by: str) -> None:
        """Delete the agent with its versions and relations, if it is there."""
        await self._run(_DELETE, id=agent.id, event=self._event(Event.DELETED, agent, by))

    def _event(self, event: Event, agent: Agent, by: str) -> dict[str, Any]:
        return written(event, AgentChanged.of(agent, self._tenant_id, by))

    async def _save(self, start: LiteralString, agent: Agent, by: str, event: Event) -> None:
        content = _properties(agent) | {"version": agent.version}
        links, named = linked(agent.content, is_new=event is Event.CREATED)
        try:
            await self._run(
                start + _SAVE + links + WRITTEN,
                id=agent.id,
                properties=content
                | {
                    "name_key": name_key(agent.name),
                    "tenant_word": tenant_word(self._tenant_id),
                    "place": place(self._tenant_id, moment(agent.created_at)),
                    "created_at": agent.created_at,
                    "updated_at": agent.updated_at,
                },
                version=content | {"created_at": agent.updated_at, "created_by": by},
                **named,
                event=self._event(event, agent, by),
            )
        except ConstraintError as error:  # ids are fresh and links merged, so only the name can be in the way
            raise AgentNameTaken from error


def _properties(content: Content) -> dict[str, Any]:
    """As a node has them; a graph's properties hold no maps, so metadata is JSON text."""
    lists = {name: list(value) for name, value in content.content.items() if isinstance(value, tuple)}
    texts = {"history": content.history.value, "metadata": orjson.dumps(content.metadata).decode()}
    return content.content | lists | texts


def content_of(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `Content` from the properties of a node; one of a former release may lack some."""
    return {
        "name": properties["name"],
        "description": properties.get("description"),
        "instructions": properties["instructions"],
        "model": properties.get("model"),
        "capabilities": tuple(properties.get("capabilities", ())),
        "knowledge": tuple(properties.get("knowledge", ())),
        "tools": tuple(properties.get("tools", ())),
        "history": History(properties.get("history", History.CUT)),
        "metadata": orjson.loads(properties.get("metadata", "{}")),
    }


def _agent(properties: Mapping[str, Any]) -> Agent:
    return Agent(
        id=properties["id"],
        version=properties["version"],
        created_at=properties["created_at"].to_native(),
        updated_at=properties["updated_at"].to_native(),
        **content_of(properties),
    )
