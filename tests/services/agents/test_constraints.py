"""Constraints and indexes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from services.agents import constraints
from services.agents.constraints import MIGRATIONS, migrate
from services.agents.graph import Graph, open_graph
from services.agents.settings import Settings
from shared.errors import Unavailable

SECONDS = 90  # for all of it to be made on a busy machine


@pytest.fixture
async def empty(graph: Graph) -> AsyncIterator[Graph]:
    """The graph without any schema; what a test leaves out is made again."""
    async with graph.session(SECONDS) as session:
        constraints = await (await session.run("SHOW CONSTRAINTS YIELD name")).value()
        for name in constraints:
            await (await session.run(f"DROP CONSTRAINT `{name}`")).consume()
        indexes = await (await session.run("SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP' RETURN name")).value()
        for name in indexes:
            await (await session.run(f"DROP INDEX `{name}`")).consume()
        await (await session.run("MATCH (s:SchemaVersion) DELETE s")).consume()
    yield graph
    await migrate(graph, SECONDS)


async def names_of(graph: Graph) -> set[str]:
    """Constraints and indexes that are in force."""
    async with graph.session(SECONDS) as session:
        indexes = await session.run("SHOW INDEXES YIELD name, type, state WHERE state = 'ONLINE' AND type <> 'LOOKUP'")
        return {record["name"] async for record in indexes}


ALL = {
    *("schema_version", "agent_id", "agent_name", "capability_name", "agent_newest", "agent_text"),
    *("idempotency_key", "idempotency_key_oldest", "health_probe", "agent_version"),
    *("collection_name", "tool_name", "has_capability_newest", "knows_newest", "uses_newest"),
    *("outbox_event", "outbox_lease"),
    *("tool_definition_name", "tool_secret_name", "tool_shelf"),
    "agent_search",
}


async def test_replicas_that_start_at_once_make_one_schema(empty: Graph, settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(open_graph(settings)) for _ in range(4)]

        await asyncio.gather(*(migrate(replica, SECONDS) for replica in replicas))

        assert all(replica.is_prepared for replica in replicas)
    assert await names_of(empty) == ALL
    assert await recorded(empty) == [len(MIGRATIONS)]


async def recorded(graph: Graph) -> list[int]:
    async with graph.session(SECONDS) as session:
        return await (await session.run("MATCH (s:SchemaVersion) RETURN s.number")).value()


async def test_a_migration_that_stopped_half_way_is_finished(empty: Graph) -> None:
    async with empty.session(SECONDS) as session:
        await (await session.run(MIGRATIONS[0][1])).consume()  # type: ignore[arg-type]

    await migrate(empty, SECONDS)

    assert await names_of(empty) == ALL


async def test_a_schema_of_a_newer_release_is_left_alone(graph: Graph) -> None:
    newer = len(MIGRATIONS) + 3
    async with graph.session(SECONDS) as session:
        await (await session.run("MATCH (s:SchemaVersion) SET s.number = $newer", newer=newer)).consume()

    await migrate(graph, SECONDS)

    assert await recorded(graph) == [newer]
    async with graph.session(SECONDS) as session:
        await (await session.run("MATCH (s:SchemaVersion) SET s.number = $now", now=len(MIGRATIONS))).consume()


async def test_nothing_is_read_or_written_before_the_schema_stands(settings: Settings) -> None:
    async with open_graph(settings) as graph:
        with pytest.raises(Unavailable):
            await graph.read(constraints._version)
        with pytest.raises(Unavailable):
            await graph.write_and_read_back("test")
