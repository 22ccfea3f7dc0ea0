"""Links from agents to what they name."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from neo4j import AsyncManagedTransaction

from services.agents import upkeep
from services.agents.domain import Agent
from services.agents.graph import Graph
from services.agents.upkeep import link_all
from shared.schemas import new_id
from tests.services.agents.test_repository import Tenant, some_agent

SECONDS = 60
COUNTED = "MATCH (a:Agent {tenant_id: $tenant_id}) RETURN COUNT { (a)-[:USES]->() } ORDER BY a.id"
SCHEMA = "MATCH (s:SchemaVersion {service: 'agents'})"
LINKS = """
    MATCH (a:Agent {id: $id, tenant_id: $tenant_id})-[r]->(n:Capability|Collection|Tool {tenant_id: $tenant_id})
    RETURN type(r), n.name, r.name = n.name AND r.agent_id = a.id AND r.created_at = a.created_at
    ORDER BY type(r), n.name
"""


@pytest.fixture
def tenant(graph: Graph) -> Tenant:
    return Tenant(graph)


async def links(tenant: Tenant, agent: Agent) -> list[tuple[str, str]]:
    """Those of the agent, each of which is found in its own place."""
    rows = await tenant.query(LINKS, id=agent.id)
    assert all(row[2] for row in rows)
    return [(row[0], row[1]) for row in rows]


def naming(
    *, capabilities: tuple[str, ...] = (), knowledge: tuple[str, ...] = (), tools: tuple[str, ...] = ()
) -> Agent:
    return some_agent(capabilities=capabilities, knowledge=knowledge, tools=tools)


async def test_an_agent_is_linked_to_all_it_names(tenant: Tenant) -> None:
    agent = naming(capabilities=("sums", "email"), knowledge=("invoices",), tools=("vectors.search", "http_get"))

    await tenant.write("create", agent, "somebody")

    assert await links(tenant, agent) == [
        *(("HAS_CAPABILITY", "email"), ("HAS_CAPABILITY", "sums"), ("KNOWS", "invoices")),
        *(("USES", "http_get"), ("USES", "vectors.search")),
    ]


async def test_links_follow_the_current_version(tenant: Tenant) -> None:
    agent = naming(capabilities=("sums",), knowledge=("invoices", "letters"), tools=("http_get",))
    await tenant.write("create", agent, "somebody")

    changes = {"knowledge": ("letters", "laws"), "tools": ()}
    await tenant.write("save", agent.revised(changes, datetime.now(UTC)), "somebody")

    assert await links(tenant, agent) == [("HAS_CAPABILITY", "sums"), ("KNOWS", "laws"), ("KNOWS", "letters")]


async def test_names_are_nodes_that_a_tenants_agents_share(tenant: Tenant, graph: Graph) -> None:
    for owner in (tenant, tenant, Tenant(graph)):
        await owner.write("create", naming(knowledge=("same",), tools=("same",)), "somebody")

    rows = await tenant.query(
        """
        MATCH (n:Collection|Tool {tenant_id: $tenant_id})
        RETURN labels(n)[0] AS label, COUNT { (n)<--(:Agent) } ORDER BY label
        """
    )

    assert rows == [["Collection", 2], ["Tool", 2]]


async def test_who_names_the_same_in_another_order_does_not_stand_in_the_way(
    tenant: Tenant, patient_graph: Graph
) -> None:
    tenant.graph = patient_graph
    names = tuple(f"n{number}" for number in range(8))
    orders = [names, names[::-1]] * 6

    await asyncio.gather(
        *(
            tenant.write("create", naming(capabilities=order, knowledge=order[::-1], tools=order), "somebody")
            for order in orders
        )
    )

    rows = await tenant.query(
        "MATCH (n:Capability|Collection|Tool {tenant_id: $tenant_id}) RETURN DISTINCT COUNT { (n)<--() }, count(n)"
    )
    assert rows == [[len(orders), 3 * len(names)]]


async def of_a_former_release(tenant: Tenant, number: int) -> list[Agent]:
    """As many agents with what links they had then: to capabilities, and nothing in them; nobody is linked yet."""
    await tenant.change(f"{SCHEMA} SET s.linked_through = $after", after=new_id())
    agents = [naming(capabilities=("sums",), knowledge=("letters",), tools=(f"t{at}",)) for at in range(number)]
    for agent in agents:
        await tenant.write("create", agent, "somebody")
    await tenant.change("MATCH (:Agent {tenant_id: $tenant_id})-[r:KNOWS|USES]->() DELETE r")
    await tenant.change("MATCH (n:Collection|Tool {tenant_id: $tenant_id}) DELETE n")
    await tenant.change("MATCH (:Agent {tenant_id: $tenant_id})-[r:HAS_CAPABILITY]->() SET r = {}")
    return agents


async def link(graph: Graph) -> None:
    async with graph.session(SECONDS) as session:
        await link_all(session)


async def test_agents_of_a_former_release_are_linked_by_replicas_that_start_at_once(
    tenant: Tenant, graph: Graph
) -> None:
    agents = await of_a_former_release(tenant, 5)

    await asyncio.gather(*(link(graph) for _ in range(3)))
    await link(graph)

    for number, agent in enumerate(agents):
        expected = [("HAS_CAPABILITY", "sums"), ("KNOWS", "letters"), ("USES", f"t{number}")]
        assert await links(tenant, agent) == expected


async def test_an_agent_without_the_newer_fields_is_linked_to_what_it_has(tenant: Tenant, graph: Graph) -> None:
    [agent] = await of_a_former_release(tenant, 1)
    await tenant.change("MATCH (a:Agent {tenant_id: $tenant_id}) REMOVE a.knowledge, a.tools")

    await link(graph)

    assert await links(tenant, agent) == [("HAS_CAPABILITY", "sums")]


async def test_linking_waits_for_who_changes_the_agent(tenant: Tenant, patient_graph: Graph) -> None:
    """It links to what the agent names then, not to what it named before."""
    tenant.graph = patient_graph
    [agent] = await of_a_former_release(tenant, 1)
    holds = asyncio.Event()
    linking: list[asyncio.Task[None]] = []

    async def change(transaction: AsyncManagedTransaction) -> Any:
        await tenant._call(transaction, "get_locked", (agent.id,))
        if not linking:
            linking.append(asyncio.create_task(link(patient_graph)))
        await waits_for_a_lock(patient_graph)
        holds.set()
        await tenant._call(transaction, "save", (agent.revised({"tools": ("other",)}, datetime.now(UTC)), "somebody"))

    await patient_graph.write(change)
    await linking[0]

    assert holds.is_set()
    assert ("USES", "other") in await links(tenant, agent)
    assert ("USES", "t0") not in await links(tenant, agent)


async def test_linking_that_was_cut_short_goes_on_where_it_was(
    tenant: Tenant, patient_graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_LINKED_AT_ONCE", 2)
    tenant.graph = patient_graph
    agents = await of_a_former_release(tenant, 5)

    async def cut_short(transaction: AsyncManagedTransaction) -> None:
        await tenant._call(transaction, "get_locked", (agents[3].id,))
        linking = asyncio.create_task(link(patient_graph))
        await waits_for_a_lock(patient_graph)
        linking.cancel()
        await asyncio.gather(linking, return_exceptions=True)

    await patient_graph.write(cut_short)
    linked = await tenant.query(COUNTED)
    # Nobody would unlink one; it shows who is looked at again.
    await tenant.change("MATCH (:Agent {id: $id, tenant_id: $tenant_id})-[r:USES]->() DELETE r", id=agents[0].id)
    await link(patient_graph)

    assert linked == [[1], [1], [0], [0], [0]]
    assert await tenant.query(COUNTED) == [[0], [1], [1], [1], [1]]


async def waits_for_a_lock(graph: Graph) -> None:
    """Returns when who links waits for agents that another holds; others on the same graph may wait for theirs."""
    statement = """
        SHOW TRANSACTIONS YIELD status, currentQuery
        WHERE status STARTS WITH 'Blocked' AND currentQuery CONTAINS 'a.id > $after' RETURN count(*)
    """
    async with asyncio.timeout(SECONDS):
        while True:
            async with graph.session(SECONDS) as session:
                if (await (await session.run(statement)).single(strict=True))[0]:
                    return
