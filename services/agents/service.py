"""The use cases of agents."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from neo4j import AsyncManagedTransaction

from services.agents.domain import Agent
from services.agents.events import Done
from services.agents.graph import Graph
from services.agents.keys import StoredKey, take_key
from services.agents.listing import Filters, Position
from services.agents.outbox import Outbox
from services.agents.repository import AgentRepository
from services.agents.schemas import AgentCreate, AgentUpdate
from services.agents.tools.repository import ToolRepository
from shared.door import Once
from shared.identity import Caller, Tells
from shared.resources import CursorCodec, Slice, etag, require_match
from shared.schemas import new_id


class AgentService:
    """What a caller may do with the agents of their tenant. Every method raises Unavailable when Neo4j cannot serve."""

    def __init__(self, graph: Graph, cursors: CursorCodec, auth: Tells, outbox: Outbox) -> None:
        self._graph, self._cursors, self._auth, self._outbox = graph, cursors, auth, outbox

    async def create(self, caller: Caller, body: AgentCreate, once: Once | None = None) -> Agent:
        """A new agent at version 1; for a repetition of `once` the one that was made, as it is now.

        Raises AgentNameTaken, ToolUnknown, IdempotencyKeyReused, AgentNotFound where the one that was made is deleted.
        """
        now = datetime.now(UTC)
        agent = Agent(id=new_id(), version=1, created_at=now, updated_at=now, **body.model_dump())

        async def work(transaction: AsyncManagedTransaction) -> Agent:
            agents = AgentRepository(transaction, caller.tenant_id)
            if once:
                key = StoredKey(once.of, agent.id)
                if made := await take_key(transaction, caller.tenant_id, once.digest, key):
                    once.found(made.of)
                    return await agents.get(made.agent_id)
            await ToolRepository(transaction, caller.tenant_id).require(agent.tools)
            await agents.create(agent, caller.subject)
            return agent

        made = await self._graph.write(work)
        self._outbox.notify()
        self._auth.tell(caller, Done.CREATED, made.id, once=made.id)  # a repetition too: the first may have told nobody
        return made

    async def get(self, caller: Caller, agent_id: str) -> Agent:
        """Raises AgentNotFound."""

        return await self._graph.look(lambda one: AgentRepository(one, caller.tenant_id).get(agent_id))

    async def get_named(self, caller: Caller, name: str) -> Agent:
        """Raises AgentNotFound."""

        return await self._graph.look(lambda one: AgentRepository(one, caller.tenant_id).get_named(name))

    async def list_page(self, caller: Caller, filters: Filters, *, limit: int, cursor: str | None) -> Slice[Agent]:
        """Newest first. Raises Invalid for a cursor of another list."""

        async def rows(after: list[Any] | None, most: int) -> Sequence[Agent]:
            position = Position(datetime.fromisoformat(after[0]), after[1]) if after else None

            async def work(transaction: AsyncManagedTransaction) -> list[Agent]:
                agents = AgentRepository(transaction, caller.tenant_id)
                return await agents.list_newest(filters, after=position, limit=most)

            return await self._graph.read(work)

        return await self._cursors.slice(
            rows,
            key=lambda agent: [agent.created_at, agent.id],
            scope=["agents", caller.tenant_id, filters],
            limit=limit,
            cursor=cursor,
        )

    async def update(self, caller: Caller, agent_id: str, body: AgentUpdate, if_match: str | None) -> Agent:
        """The agent after the changes: a new version, or the same one when nothing is different.

        Raises AgentNotFound, PreconditionFailed, AgentNameTaken, ToolUnknown for a tool that it did not name before.
        """
        changes = body.model_dump()
        is_changed = False

        async def work(transaction: AsyncManagedTransaction) -> Agent:
            nonlocal is_changed
            agents = AgentRepository(transaction, caller.tenant_id)
            current = await agents.get_locked(agent_id)
            require_match(if_match, etag(current.version))
            revised = current.revised(changes, datetime.now(UTC))
            is_changed = revised is not current
            if is_changed:
                await ToolRepository(transaction, caller.tenant_id).require(revised.tools, but=current.tools)
                await agents.save(revised, caller.subject)
            return revised

        revised = await self._graph.write(work)
        if is_changed:
            self._outbox.notify()
            self._auth.tell(caller, Done.UPDATED, agent_id)
        return revised

    async def delete(self, caller: Caller, agent_id: str, if_match: str | None) -> None:
        """Delete the agent, its history and its relations. Raises AgentNotFound, PreconditionFailed."""

        async def work(transaction: AsyncManagedTransaction) -> None:
            agents = AgentRepository(transaction, caller.tenant_id)
            await agents.lock_with_related(agent_id)
            current = await agents.get(agent_id)
            require_match(if_match, etag(current.version))
            await agents.delete(current, caller.subject)

        await self._graph.write(work)
        self._outbox.notify()
        self._auth.tell(caller, Done.DELETED, agent_id, once=agent_id)
