"""The use cases around relations: relating two agents, reading who is related, and ending it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from neo4j import AsyncManagedTransaction

from services.agents.domain import WRITE
from services.agents.errors import RelationToItself
from services.agents.events import Done
from services.agents.graph import Graph, Statements
from services.agents.relations.domain import Direction, Ends, Put, Relation, RelationType, Said
from services.agents.relations.repository import RelationRepository
from services.agents.relations.schemas import RelationPut
from services.agents.repository import AgentRepository
from shared.errors import PreconditionFailed
from shared.identity import Caller, Tells
from shared.resources import CursorCodec, Slice, etag, require_match

_TOLD_AGAIN: Final = timedelta(days=1)
"""So long what a PUT finds there already is told, too: whoever made it may have got no answer and told nobody. Auth
knows for some days what it has heard."""


class RelationService:
    """What a caller may do with the relations of their tenant's agents. Every method raises AgentNotFound, Unavailable.

    A relation is of both its agents: who makes, changes or deletes one needs the scope for each.
    """

    def __init__(self, graph: Graph, cursors: CursorCodec, auth: Tells) -> None:
        self._graph, self._cursors, self._auth = graph, cursors, auth

    async def put(
        self,
        caller: Caller,
        agent_id: str,
        type: RelationType,
        other_id: str,
        body: RelationPut,
        if_match: str | None = None,
    ) -> Put:
        """The relation as the body says it, made where there is none.

        Raises RelationToItself, MissingScope for the other agent, TooManyRelations, PreconditionFailed.
        """
        caller.require(WRITE, other_id)
        wanted = body.model_dump()

        async def work(transaction: AsyncManagedTransaction) -> Put:
            relations = RelationRepository(transaction, caller.tenant_id)
            await relations.lock(agent_id, other_id)
            if agent_id == other_id:
                raise RelationToItself
            present = await relations.find(agent_id, type, other_id)
            _require_version(if_match, present)
            if present and present.says(**wanted):
                return Put(present, is_new=False)
            if present is None:
                await relations.require_room(agent_id, other_id)
            await relations.store([Said(Ends.of(agent_id, type, other_id), **wanted)], datetime.now(UTC))
            return Put(await relations.get(agent_id, type, other_id), is_new=present is None)

        put = await self._graph.write(work)
        if datetime.now(UTC) - put.relation.updated_at < _TOLD_AGAIN:
            self._tell_put(caller, agent_id, put.relation)
        return put

    def _tell_put(self, caller: Caller, agent_id: str, put: Relation) -> None:
        done = Done.RELATION_CREATED if put.is_as_made else Done.RELATION_UPDATED
        self._auth.tell(caller, done, agent_id, once=put.version, type=str(put.type), other_id=put.agent.id)

    async def get(self, caller: Caller, agent_id: str, type: RelationType, other_id: str) -> Relation:
        """Raises RelationNotFound."""

        async def work(transaction: AsyncManagedTransaction) -> Relation:
            await AgentRepository(transaction, caller.tenant_id).require(agent_id, other_id)
            return await RelationRepository(transaction, caller.tenant_id).get(agent_id, type, other_id)

        return await self._graph.read(work)

    async def list_page(
        self,
        caller: Caller,
        agent_id: str,
        *,
        types: Sequence[RelationType],
        direction: Direction,
        limit: int,
        cursor: str | None,
    ) -> Slice[Relation]:
        """By type, then by the other agent's id. Raises Invalid for a cursor of another list."""

        async def rows(after: str | None, most: int) -> Sequence[Relation]:
            async def found(one: Statements) -> list[Relation]:
                relations = RelationRepository(one, caller.tenant_id)
                return await relations.list_by_type(agent_id, types=types, direction=direction, after=after, limit=most)

            page = await self._graph.look(found)
            if not page:  # else the agent is there
                await self._graph.look(lambda one: AgentRepository(one, caller.tenant_id).require(agent_id))
            return page

        return await self._cursors.slice(
            rows,
            key=lambda relation: relation.position,
            scope=["agents.relations", caller.tenant_id, agent_id, sorted(types), direction],
            limit=limit,
            cursor=cursor,
        )

    async def delete(
        self, caller: Caller, agent_id: str, type: RelationType, other_id: str, if_match: str | None = None
    ) -> None:
        """Both agents stay. Raises MissingScope, RelationNotFound, PreconditionFailed."""
        caller.require(WRITE, other_id)

        async def work(transaction: AsyncManagedTransaction) -> Relation:
            relations = RelationRepository(transaction, caller.tenant_id)
            await relations.lock(agent_id, other_id)
            present = await relations.get(agent_id, type, other_id)
            _require_version(if_match, present)
            await relations.delete(Ends.of(agent_id, type, other_id))
            return present

        deleted = await self._graph.write(work)
        self._auth.tell(
            caller, Done.RELATION_DELETED, agent_id, once=deleted.version, type=str(type), other_id=other_id
        )


def _require_version(if_match: str | None, present: Relation | None) -> None:
    if if_match is None:
        return
    if present is None:
        raise PreconditionFailed
    require_match(if_match, etag(present.version))
