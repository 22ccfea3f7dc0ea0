"""What stands in the graph."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from neo4j import AsyncManagedTransaction

from services.agents.domain import Agent, History
from services.agents.errors import AgentNotFound
from services.agents.graph import Graph
from services.agents.listing import Filters
from services.agents.repository import AgentRepository
from services.agents.versions.repository import VersionRepository
from shared.schemas import new_id


def some_agent(**changes: Any) -> Agent:
    now = datetime.now(UTC)
    agent = Agent(
        id=new_id(),
        version=1,
        name=f"Agent {new_id()}",
        description=None,
        instructions="Answer briefly.",
        model=None,
        capabilities=("email", "invoices"),
        knowledge=("invoices-2025",),
        tools=(),
        metadata={"tier": 1},
        created_at=now,
        updated_at=now,
    )
    return replace(agent, **changes)


class Tenant:
    """A tenant's own view of the graph, a transaction for each call."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.id = graph, new_id()

    async def write(self, method: str, *arguments: Any) -> Any:
        return await self.graph.write(lambda transaction: self._call(transaction, method, arguments))

    async def query(self, statement: str, **parameters: Any) -> list[list[Any]]:
        async def work(transaction: AsyncManagedTransaction) -> list[list[Any]]:
            result = await transaction.run(statement, parameters, tenant_id=self.id)
            return [record.values() async for record in result]

        return await self.graph.read(work)

    async def change(self, statement: str, **parameters: Any) -> None:
        async def work(transaction: AsyncManagedTransaction) -> None:
            await (await transaction.run(statement, parameters, tenant_id=self.id)).consume()

        await self.graph.write(work)

    async def _call(self, transaction: AsyncManagedTransaction, method: str, arguments: tuple[Any, ...]) -> Any:
        return await getattr(AgentRepository(transaction, self.id), method)(*arguments)


@pytest.fixture
def tenant(graph: Graph) -> Tenant:
    return Tenant(graph)


async def test_an_agent_comes_back_as_it_was_kept(tenant: Tenant) -> None:
    agent = some_agent(description="d", model="m", metadata={"claim": True, "one": 1, "one_point": 1.0, "text": "é"})

    await tenant.write("create", agent, "somebody")

    kept: Agent = await tenant.write("get", agent.id)
    assert kept == agent
    assert [type(value) for value in kept.metadata.values()] == [bool, int, float, str]


async def test_every_version_is_kept_with_its_author(tenant: Tenant) -> None:
    agent = some_agent()
    await tenant.write("create", agent, "ada")
    second = agent.revised({"instructions": "Answer at length.", "capabilities": ("letters",)}, datetime.now(UTC))
    await tenant.write("save", second, "grace")

    versions = await tenant.query(
        """
        MATCH (:Agent {id: $id, tenant_id: $tenant_id})-[:HAS_VERSION]->(v:AgentVersion {tenant_id: $tenant_id})
        RETURN v.version, v.instructions, v.capabilities, v.created_by, v.agent_id ORDER BY v.version
        """,
        id=agent.id,
    )

    assert versions == [
        [1, "Answer briefly.", ["email", "invoices"], "ada", agent.id],
        [2, "Answer at length.", ["letters"], "grace", agent.id],
    ]


async def test_capabilities_are_nodes_that_a_tenants_agents_share(tenant: Tenant, graph: Graph) -> None:
    for owner in (tenant, tenant, Tenant(graph)):
        await owner.write("create", some_agent(), "somebody")

    counts = await tenant.query(
        """
        MATCH (c:Capability {tenant_id: $tenant_id})
        RETURN c.name, COUNT { (c)<-[:HAS_CAPABILITY]-(:Agent) } ORDER BY c.name
        """
    )

    assert counts == [["email", 2], ["invoices", 2]]


async def test_a_new_version_takes_away_only_the_capabilities_it_lacks(tenant: Tenant) -> None:
    agent = some_agent()
    await tenant.write("create", agent, "somebody")
    await tenant.write("save", agent.revised({"capabilities": ()}, datetime.now(UTC)), "somebody")
    statement = "MATCH (:Agent {id: $id})-[r:HAS_CAPABILITY]->(:Capability) RETURN count(r)"
    without = await tenant.query(statement, id=agent.id)
    await tenant.write("save", agent.revised({"capabilities": ("invoices", "sums")}, datetime.now(UTC)), "somebody")

    names = await tenant.query(
        "MATCH (:Agent {id: $id})-[:HAS_CAPABILITY]->(c:Capability) RETURN c.name ORDER BY c.name", id=agent.id
    )

    assert (without, names) == ([[0]], [["invoices"], ["sums"]])


async def test_deleting_an_agent_leaves_nothing_of_it(tenant: Tenant) -> None:
    agent = some_agent()
    await tenant.write("create", agent, "somebody")
    await tenant.write("save", agent.revised({"model": "m"}, datetime.now(UTC)), "somebody")

    await tenant.write("delete", agent, "somebody")

    left = await tenant.query("MATCH (n:Agent|AgentVersion {tenant_id: $tenant_id}) RETURN count(n)")
    assert left == [[0]]
    with pytest.raises(AgentNotFound):
        await tenant.write("get", agent.id)


@pytest.mark.parametrize("method", ["get", "get_locked"])
async def test_another_tenants_agent_is_not_found(tenant: Tenant, graph: Graph, method: str) -> None:
    agent = some_agent()
    await tenant.write("create", agent, "somebody")

    with pytest.raises(AgentNotFound):
        await Tenant(graph).write(method, agent.id)


async def test_another_tenants_agent_is_neither_changed_nor_deleted(tenant: Tenant, graph: Graph) -> None:
    agent = some_agent()
    await tenant.write("create", agent, "somebody")

    await Tenant(graph).write("save", replace(agent, version=2, model="theirs"), "a stranger")
    await Tenant(graph).write("delete", agent, "somebody")

    assert await tenant.write("get", agent.id) == agent


async def test_the_lock_leaves_no_trace(tenant: Tenant) -> None:
    agent = some_agent()
    await tenant.write("create", agent, "somebody")

    await tenant.write("get_locked", agent.id)

    assert await tenant.query("MATCH (a:Agent {id: $id}) RETURN a.is_locked", id=agent.id) == [[None]]


async def test_a_list_reads_no_more_of_the_index_than_its_page(tenant: Tenant, graph: Graph) -> None:
    for _ in range(40):
        await tenant.write("create", some_agent(), "somebody")
    listing = PlanRecorder(tenant.id)

    await graph.read(listing.work)

    assert "NodeIndexSeek" in listing.operators
    assert "Sort" not in listing.operators
    assert "Top" not in listing.operators


@pytest.mark.parametrize("filters", [{"capability": "email"}, {"knowledge": "invoices-2025"}, {"tool": "http_get"}])
async def test_a_list_by_a_name_reads_no_more_of_the_index_than_its_page(
    tenant: Tenant, graph: Graph, filters: dict[str, Any]
) -> None:
    for _ in range(40):
        await tenant.write("create", some_agent(tools=("http_get",)), "somebody")
    listing = PlanRecorder(tenant.id, **filters)

    await graph.read(listing.work)

    assert "DirectedRelationshipIndexSeek" in listing.operators
    assert "Sort" not in listing.operators
    assert "Top" not in listing.operators


async def test_a_history_reads_no_more_of_the_index_than_its_page(tenant: Tenant, graph: Graph) -> None:
    history = PlanRecorder(tenant.id, of_versions=True)

    await graph.read(history.work)

    assert "NodeIndexSeek" in history.operators
    assert "Sort" not in history.operators
    assert "Top" not in history.operators


async def test_an_agent_of_a_former_release_still_reads(tenant: Tenant) -> None:
    """Without what it did not know."""
    agent = some_agent(knowledge=("k",), tools=("t",), history=History.SUMMARISE)
    await tenant.write("create", agent, "somebody")
    await tenant.change(
        "MATCH (a:Agent {id: $id, tenant_id: $tenant_id}) REMOVE a.knowledge, a.tools, a.history, a.metadata",
        id=agent.id,
    )

    assert await tenant.write("get", agent.id) == replace(
        agent, knowledge=(), tools=(), history=History.CUT, metadata={}
    )


class PlanRecorder:
    """Asks for the plan of a list's statement instead of running it."""

    def __init__(self, tenant_id: str, *, of_versions: bool = False, **filters: str) -> None:
        self.tenant_id, self.of_versions, self.filters = tenant_id, of_versions, Filters(**filters)
        self.operators = ""

    async def work(self, transaction: AsyncManagedTransaction) -> None:
        recorder = self

        class Explaining:
            async def run(self, statement: str, *arguments: Any, **parameters: Any) -> Any:
                result = await transaction.run(f"EXPLAIN {statement}", *arguments, **parameters)
                recorder.operators = str((await result.consume()).plan)
                return await transaction.run("UNWIND [] AS agent RETURN agent")

        if self.of_versions:
            versions = VersionRepository(Explaining(), self.tenant_id)  # type: ignore[arg-type]
            await versions.list_newest(new_id(), before=None, limit=21)
            return
        agents = AgentRepository(Explaining(), self.tenant_id)  # type: ignore[arg-type]
        await agents.list_newest(self.filters, after=None, limit=21)
