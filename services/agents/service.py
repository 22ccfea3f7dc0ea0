"""The use cases of agents."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from neo4j import AsyncManagedTransaction

from services.agents.domain import Agent
from services.agents.graph import Graph
from services.agents.repository import AgentRepository, Position
from shared.identity import Caller
from shared.resources import CursorCodec, cut, etag, require_match
from shared.schemas import new_id


class AgentService:
    """What a caller may do with the agents of their tenant. Every method raises Unavailable when Neo4j cannot serve."""

    def __init__(self, graph: Graph, cursors: CursorCodec, caller: Caller) -> None:
        self._graph, self._cursors, self._caller = graph, cursors, caller

    async def create(self, content: Mapping[str, Any]) -> Agent:
        """A new agent at version 1. Raises AgentNameTaken."""
        now = datetime.now(UTC)
        agent = Agent(id=new_id(), version=1, created_at=now, updated_at=now, **content)

        async def work(transaction: AsyncManagedTransaction) -> None:
            await self._agents(transaction).create(agent, self._caller.subject)

        await self._graph.write(work)
        return agent

    async def get(self, agent_id: str) -> Agent:
        """Raises AgentNotFound."""

        async def work(transaction: AsyncManagedTransaction) -> Agent:
            return await self._agents(transaction).get(agent_id)

        return await self._graph.read(work)

    async def list_page(
        self, *, capability: str | None, typed: str | None, limit: int, cursor: str | None
    ) -> tuple[list[Agent], str | None]:
        """A page, newest first, and the cursor of the next. Raises Invalid for a cursor of another list."""
        scope = ["agents", self._caller.tenant_id, capability, typed]
        after = _position(self._cursors.decode(cursor, scope=scope))

        async def work(transaction: AsyncManagedTransaction) -> list[Agent]:
            agents = self._agents(transaction)
            return await agents.list_newest(capability=capability, typed=typed, after=after, limit=limit + 1)

        page, last = cut(await self._graph.read(work), limit)
        next_cursor = self._cursors.encode([last.created_at, last.id], scope=scope) if last else None
        return page, next_cursor

    async def update(self, agent_id: str, changes: Mapping[str, Any], if_match: str | None) -> Agent:
        """The agent after the changes: a new version, or the same one when nothing is different.

        Raises AgentNotFound, PreconditionFailed, AgentNameTaken.
        """

        async def work(transaction: AsyncManagedTransaction) -> Agent:
            agents = self._agents(transaction)
            current = await agents.get_locked(agent_id)
            require_match(if_match, etag(current.version))
            revised = current.revised(changes, datetime.now(UTC))
            if revised is not current:
                await agents.save(revised, self._caller.subject)
            return revised

        return await self._graph.write(work)

    async def delete(self, agent_id: str, if_match: str | None) -> None:
        """Delete the agent and its history. Raises AgentNotFound, PreconditionFailed."""

        async def work(transaction: AsyncManagedTransaction) -> None:
            agents = self._agents(transaction)
            current = await agents.get_locked(agent_id)
            require_match(if_match, etag(current.version))
            await agents.delete(agent_id)

        await self._graph.write(work)

    def _agents(self, transaction: AsyncManagedTransaction) -> AgentRepository:
        return AgentRepository(transaction, self._caller.tenant_id)


def _position(values: list[Any] | None) -> Position | None:
    return Position(datetime.fromisoformat(values[0]), values[1]) if values else None
