"""A look at the graph is one statement, which only reads, and is tried again as any transaction is."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from neo4j.exceptions import Neo4jError

from services.agents.constraints import migrate
from services.agents.errors import AgentNotFound
from services.agents.graph import Graph, Statements, open_graph
from services.agents.repository import AgentRepository
from services.agents.settings import Settings
from shared.errors import Unavailable
from shared.schemas import new_id
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.relay import Relay
from tests.services.agents.conftest import PATIENT
from tests.services.agents.test_repository import Tenant, some_agent


@pytest.fixture
async def relayed(settings: Settings, relay: Relay) -> AsyncIterator[Graph]:
    await relay.open()
    async with open_graph(settings.model_copy(update={**PATIENT, "neo4j_url": relay.url})) as graph:
        await migrate(graph, settings.neo4j_schema_seconds)
        yield graph


async def one(statements: Statements) -> int:
    return int((await (await statements.run("RETURN 1 AS one")).value("one"))[0])


async def test_a_connection_that_is_lost_meanwhile_costs_nobody_an_error(relayed: Graph, relay: Relay) -> None:
    asked = 0

    async def look(statements: Statements) -> int:
        nonlocal asked
        asked += 1
        return await one(statements)

    relay.lose_answers_after(b"RETURN 1 AS one", of=b"RETURN 1 AS one")
    looking = asyncio.create_task(relayed.look(look))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not relay.loses_answers:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    await relay.close()
    relay.thaw()
    await relay.open()

    assert (await looking, asked) == (1, 2)


async def test_what_a_look_does_not_find_is_told_at_once(patient_graph: Graph) -> None:
    asked = 0

    async def look(statements: Statements) -> object:
        nonlocal asked
        asked += 1
        return await AgentRepository(statements, "tenant").get(new_id())

    with pytest.raises(AgentNotFound):
        await patient_graph.look(look)

    assert asked == 1


async def test_a_look_writes_nothing(patient_graph: Graph) -> None:
    tenant, agent = Tenant(patient_graph), some_agent()
    await tenant.write("create", agent, "somebody")

    async def write(statements: Statements) -> object:
        deleted = "MATCH (a:Agent {id: $id}) DETACH DELETE a"
        return await (await statements.run(deleted, id=agent.id)).consume()

    with pytest.raises((Neo4jError, Unavailable)):
        await patient_graph.look(write)

    assert await tenant.write("get", agent.id) == agent


async def test_a_look_is_one_statement(patient_graph: Graph) -> None:
    """Two would see two moments."""

    async def look(statements: Statements) -> int:
        return await one(statements) + await one(statements)

    with pytest.raises(RuntimeError):
        await patient_graph.look(look)


async def test_what_is_deleted_while_it_is_looked_at_is_looked_for_again(patient_graph: Graph) -> None:
    asked = 0

    async def look(statements: Statements) -> int:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise Neo4jError._hydrate_neo4j(code="Neo.ClientError.Statement.EntityNotFound", message="gone")
        return await one(statements)

    assert (await patient_graph.look(look), asked) == (1, 2)
