"""Agents by the hundred, put into the graph as the service would: by requests they would take minutes."""

from typing import Any

from neo4j import AsyncManagedTransaction

from services.agents.graph import Graph
from shared.schemas import new_id
from tests.fixtures.identity import User

_SAID = {"weight": 1.0, "metadata": "{}", "version": "x"}
Agent = dict[str, Any]


async def crowd(graph: Graph, user: User, agent: Agent, *, relations: int) -> None:
    """Relate it to as many new agents, of which half delegate to it."""
    statement = """
        MATCH (a:Agent {id: $id, tenant_id: $tenant_id})
        UNWIND range(1, $relations) AS number
        CREATE (b:Agent {id: randomUUID(), tenant_id: $tenant_id, name: 'Crowd ' + number,
            name_key: $id + number, created_at: datetime(), updated_at: datetime(), version: 1, instructions: 'x'})
        FOREACH (_ IN CASE number % 2 WHEN 0 THEN [1] ELSE [] END | CREATE (a)-[r:DELEGATES_TO]->(b) SET r = $said)
        FOREACH (_ IN CASE number % 2 WHEN 1 THEN [1] ELSE [] END | CREATE (b)-[r:DELEGATES_TO]->(a) SET r = $said)
    """

    async def work(transaction: AsyncManagedTransaction) -> None:
        given = {"id": agent["id"], "tenant_id": user.tenant_id, "relations": relations, "said": _SAID}
        await (await transaction.run(statement, given)).consume()

    await graph.write(work)


async def dense(graph: Graph, user: User, agents: int, relations: int) -> Agent:
    """The first of as many agents, each of which delegates to the `relations` that follow it, around a circle."""
    statement = """
        UNWIND range(0, $agents - 1) AS number
        CREATE (:Agent {id: $ids[number], tenant_id: $tenant_id, name: 'Dense ' + number, name_key: $ids[number],
            created_at: datetime(), updated_at: datetime(), version: 1, instructions: 'x', capabilities: [],
            knowledge: [], tools: [], metadata: '{}'})
    """
    related = """
        UNWIND range(0, $agents - 1) AS number
        MATCH (a:Agent {id: $ids[number], tenant_id: $tenant_id})
        UNWIND range(1, $relations) AS step
        MATCH (b:Agent {id: $ids[(number + step) % $agents], tenant_id: $tenant_id})
        CREATE (a)-[r:DELEGATES_TO]->(b) SET r = $said
    """
    ids = [new_id() for _ in range(agents)]

    async def work(transaction: AsyncManagedTransaction) -> None:
        given = {"agents": agents, "relations": relations, "ids": ids, "tenant_id": user.tenant_id, "said": _SAID}
        for each in (statement, related):
            await (await transaction.run(each, given)).consume()

    await graph.write(work)
    return {"id": ids[0]}
