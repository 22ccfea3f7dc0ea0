"""The use cases around documents: an agent out, and in again."""

from dataclasses import replace
from datetime import UTC, datetime

from neo4j import AsyncManagedTransaction

from services.agents.documents.domain import Exported, Imported, NamedRelation
from services.agents.documents.repository import NameRepository
from services.agents.documents.schemas import AgentDocument
from services.agents.domain import Agent, name_key
from services.agents.events import Done
from services.agents.graph import Graph
from services.agents.keys import StoredKey, take_key
from services.agents.outbox import Outbox
from services.agents.relations.domain import MOST_RELATIONS, Direction, Ends, RelationType, Said
from services.agents.relations.repository import RelationRepository
from services.agents.repository import AgentRepository
from services.agents.tools.repository import ToolRepository
from shared.door import Once
from shared.identity import Caller, Tells
from shared.schemas import new_id


class DocumentService:
    """Agents of the caller's tenant as documents. Every method raises Unavailable when Neo4j cannot serve."""

    def __init__(self, graph: Graph, auth: Tells, outbox: Outbox) -> None:
        self._graph, self._auth, self._outbox = graph, auth, outbox

    async def export(self, caller: Caller, agent_id: str) -> Exported:
        """The agent with all its relations, as of one moment. Raises AgentNotFound."""

        async def work(transaction: AsyncManagedTransaction) -> Exported:
            agent = await AgentRepository(transaction, caller.tenant_id).get(agent_id)
            return Exported(agent, await _relations(transaction, caller, agent_id))

        return await self._graph.read(work)

    async def create(self, caller: Caller, document: AgentDocument, once: Once | None = None) -> Imported:
        """A new agent of the document, related to those agents of the tenant that have the names, with its known tools.

        For a repetition of `once` the agent that was made, as it is now. Raises AgentNameTaken, IdempotencyKeyReused,
        AgentNotFound where the one that was made is deleted.
        """
        now = datetime.now(UTC)
        agent = Agent(id=new_id(), version=1, created_at=now, updated_at=now, **document.agent.model_dump())

        async def work(transaction: AsyncManagedTransaction) -> Imported:
            agents = AgentRepository(transaction, caller.tenant_id)
            made = agent
            if once and (
                taken := await take_key(transaction, caller.tenant_id, once.digest, StoredKey(once.of, agent.id))
            ):
                once.found(taken.of)
                made = await agents.get(taken.agent_id)
            else:
                # The others first, in their order: who changes one of them holds it before capabilities of its own.
                others = await _others(transaction, caller, document.named)
                made = await _with_known_tools(transaction, caller, agent)
                await agents.create(made, caller.subject)
                await _relate(transaction, caller, made, others)
            has = {one.key for one in await _relations(transaction, caller, made.id)}
            unresolved = [one for one in document.named if one.key not in has]
            return Imported(made, unresolved, [tool for tool in document.agent.tools if tool not in made.tools])

        imported = await self._graph.write(work)
        self._outbox.notify()
        self._auth.tell(caller, Done.IMPORTED, imported.agent.id, once=imported.agent.id)
        return imported


async def _with_known_tools(transaction: AsyncManagedTransaction, caller: Caller, agent: Agent) -> Agent:
    unknown = await ToolRepository(transaction, caller.tenant_id).lock_unknown(agent.tools)
    return replace(agent, tools=tuple(tool for tool in agent.tools if tool not in unknown))


async def _relations(transaction: AsyncManagedTransaction, caller: Caller, agent_id: str) -> list[NamedRelation]:
    found = await RelationRepository(transaction, caller.tenant_id).list_by_type(
        agent_id, types=list(RelationType), direction=Direction.BOTH, after=None, limit=MOST_RELATIONS
    )
    return [NamedRelation.of(relation) for relation in found]


async def _others(
    transaction: AsyncManagedTransaction, caller: Caller, relations: list[NamedRelation]
) -> list[tuple[str, NamedRelation]]:
    """Those of the relations whose agent is there, and has room for one more; it is locked, its id stands before it."""
    ids = await NameRepository(transaction, caller.tenant_id).ids_of(one.agent for one in relations)
    kept = RelationRepository(transaction, caller.tenant_id)
    present = await kept.lock_present(ids.values())
    room = await kept.room(present)
    found = []
    for one in relations:
        other_id = ids.get(name_key(one.agent))
        if other_id is not None and room.get(other_id, 0) > 0:
            room[other_id] -= 1
            found.append((other_id, one))
    return found


async def _relate(
    transaction: AsyncManagedTransaction, caller: Caller, agent: Agent, others: list[tuple[str, NamedRelation]]
) -> None:
    said = [Said(_ends(agent.id, other_id, one), one.weight, one.metadata) for other_id, one in others]
    await RelationRepository(transaction, caller.tenant_id).store(said, agent.created_at)


def _ends(agent_id: str, other_id: str, one: NamedRelation) -> Ends:
    start_id, end_id = (other_id, agent_id) if one.direction is Direction.IN else (agent_id, other_id)
    return Ends.of(start_id, one.type, end_id)
