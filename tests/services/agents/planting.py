"""Agents by the hundred, put into the graph as the service would: by requests they would take minutes."""

from datetime import UTC, datetime
from typing import Any, LiteralString

from services.agents.graph import Graph
from shared.schemas import new_id
from tests.fixtures.identity import User

_WHEN = datetime(2026, 1, 1, tzinfo=UTC)
_SAID = {"weight": 1.0, "metadata": "{}", "version": "x", "created_at": _WHEN, "updated_at": _WHEN}
_SECONDS = 120.0  # of a busy machine; a unit of work of the service has fewer
_AT_ONCE = 200
Agent = dict[str, Any]


async def plant(graph: Graph, statement: LiteralString, **given: Any) -> None:
    """Have it done in one transaction, however long that takes."""
    async with graph.session(_SECONDS) as session:
        await (await session.run(statement, given)).consume()


async def crowd(graph: Graph, user: User, agent: Agent, *, relations: int) -> None:
    """Relate it to as many new agents, of which half delegate to it."""
    statement = """
        MATCH (a:Agent {id: $id, tenant_id: $tenant_id})
        UNWIND range(1, $relations) AS number
        CREATE (b:Agent {id: randomUUID(), tenant_id: $tenant_id, name: 'Crowd ' + number + ' of ' + $id,
            name_key: 'crowd ' + number + ' of ' + $id,
            created_at: datetime(), updated_at: datetime(), version: 1, instructions: 'x'})
        FOREACH (_ IN CASE number % 2 WHEN 0 THEN [1] ELSE [] END | CREATE (a)-[r:DELEGATES_TO]->(b) SET r = $said)
        FOREACH (_ IN CASE number % 2 WHEN 1 THEN [1] ELSE [] END | CREATE (b)-[r:DELEGATES_TO]->(a) SET r = $said)
    """

    await plant(graph, statement, id=agent["id"], tenant_id=user.tenant_id, relations=relations, said=_SAID)


async def dense(graph: Graph, user: User, agents: int, relations: int) -> list[Agent]:
    """As many agents, each of which delegates to the `relations` that follow it, around a circle."""
    made = """
        UNWIND $numbers AS number
        CREATE (:Agent {id: $ids[number], tenant_id: $tenant_id, name: 'Dense ' + number, name_key: $ids[number],
            created_at: datetime(), updated_at: datetime(), version: 1, instructions: 'x', capabilities: [],
            knowledge: [], tools: [], metadata: '{}'})
    """
    related = """
        UNWIND $numbers AS number
        MATCH (a:Agent {id: $ids[number], tenant_id: $tenant_id})
        UNWIND range(1, $relations) AS step
        MATCH (b:Agent {id: $ids[(number + step) % size($ids)], tenant_id: $tenant_id})
        CREATE (a)-[r:DELEGATES_TO]->(b) SET r = $said
    """
    ids = [new_id() for _ in range(agents)]
    given = {"ids": ids, "relations": relations, "tenant_id": user.tenant_id, "said": _SAID}
    for statement in (made, related):
        for at in range(0, agents, _AT_ONCE):
            await plant(graph, statement, numbers=list(range(agents)[at : at + _AT_ONCE]), **given)
    return [{"id": id} for id in ids]
