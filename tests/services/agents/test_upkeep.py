"""What becomes of names that no agent has any more."""

import asyncio
from datetime import UTC, datetime

import pytest

from services.agents import upkeep
from services.agents.graph import Graph
from services.agents.upkeep import sweep_once
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.agents.test_links import links, naming
from tests.services.agents.test_repository import Tenant

NAMES = "MATCH (n:Capability|Collection|Tool {tenant_id: $tenant_id}) RETURN n.name ORDER BY n.name"


@pytest.fixture
def tenant(patient_graph: Graph) -> Tenant:
    return Tenant(patient_graph)


async def test_names_that_no_agent_has_are_swept(tenant: Tenant) -> None:
    kept = naming(capabilities=("sums",), tools=("t",))
    gone = naming(capabilities=("sums", "email"), knowledge=("laws",))
    for agent in (kept, gone):
        await tenant.write("create", agent, "somebody")
    await tenant.write("save", kept.revised({"tools": ()}, datetime.now(UTC)), "somebody")
    await tenant.write("delete", gone, "somebody")

    await sweep_once(tenant.graph)

    assert await tenant.query(NAMES) == [["sums"]]


async def test_a_sweep_looks_at_all_names_of_all_tenants(
    tenant: Tenant, patient_graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_SWEPT_AT_ONCE", 3)
    tenants = [tenant, Tenant(patient_graph)]
    for number, owner in enumerate([*tenants, *tenants]):
        agent = naming(capabilities=tuple(f"c{number}-{at}" for at in range(5)))
        await owner.write("create", agent, "somebody")
        if number < 2:
            await owner.write("delete", agent, "somebody")

    await asyncio.gather(*(sweep_once(patient_graph) for _ in range(2)))

    left = [[row[0] for row in await owner.query(NAMES)] for owner in tenants]
    assert left == [[f"c{number}-{at}" for at in range(5)] for number in (2, 3)]


async def test_no_link_is_lost_to_a_sweep(tenant: Tenant) -> None:
    """Two writers take a name up and drop it in a loop, while it is swept in another."""
    writing, sweeps = True, 0

    async def write() -> int:
        lost = times = 0
        while times < 25 or sweeps <= 5:
            times += 1
            agent = naming(capabilities=("a", "b"), knowledge=("a",), tools=("a", "b"))
            await tenant.write("create", agent, "somebody")
            lost += len(await links(tenant, agent)) != 5
            await tenant.write("delete", agent, "somebody")
        return lost

    async def sweep() -> None:
        nonlocal sweeps
        while writing:
            await sweep_once(tenant.graph)
            sweeps += 1

    sweeping = asyncio.create_task(sweep())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            lost = await asyncio.gather(write(), write())
    finally:
        writing = False
        await sweeping

    assert list(lost) == [0, 0]
