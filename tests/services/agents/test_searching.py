"""Pages of what is found by words: newest first and whole, however those who have the words are spread over time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from neo4j import AsyncManagedTransaction

from local.suite import Suite
from services.agents import searching, upkeep
from services.agents.constraints import migrate
from services.agents.domain import Agent
from services.agents.graph import open_graph
from services.agents.listing import Filters, Position
from services.agents.repository import AgentRepository
from services.agents.settings import Settings
from services.agents.upkeep import LatePlaces, place_all
from shared.schemas import new_id
from tests.fixtures.apps import open_service
from tests.services.agents.test_repository import Tenant, some_agent

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
AGENTS = 24
UNPLACE = "MATCH (a:Agent {tenant_id: $tenant_id}) REMOVE a.tenant_word, a.place"
_SECONDS = 300.0
ENDLESS = {"neo4j_transaction_seconds": _SECONDS, "neo4j_wait_seconds": _SECONDS, "neo4j_pool_wait_seconds": _SECONDS}
"""Many steps in one transaction take a busy machine long."""


@pytest.fixture
async def tenant(settings: Settings) -> AsyncIterator[Tenant]:
    """On a graph whose transactions may last as long as a busy machine takes for many steps."""
    async with open_graph(settings.model_copy(update=ENDLESS)) as graph:
        await migrate(graph, _SECONDS)
        yield Tenant(graph)


@pytest.fixture
def in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were many: few at once, and windows that have to grow and shrink."""
    monkeypatch.setattr(searching, "_MOST_HITS", 4)
    monkeypatch.setattr(searching, "_FIRST", 2)


def spread(number: int) -> datetime:
    """By days at first, then many within a second, then six in one microsecond, then by hours."""
    if number < 6:
        return BEGIN + timedelta(days=number)
    if number < 14:
        return BEGIN + timedelta(days=40, milliseconds=number)
    if number < 20:
        return BEGIN + timedelta(days=41)
    return BEGIN + timedelta(days=60, hours=number)


async def filled(tenant: Tenant) -> list[Agent]:
    """Newest first."""
    agents = []
    for number in range(AGENTS):
        words = ["assistant", "even" if number % 2 else "odd", *(["early"] if number < 5 else [])]
        agent = some_agent(
            description=" ".join(words),
            capabilities=("sums", *(("e-mail",) if number % 3 else ("mail",))),
            created_at=spread(number),
            tools=("vectors.search",) if number % 5 == 0 else (),
        )
        await tenant.write("create", agent, "somebody")
        agents.append(agent)
    return sorted(agents, key=lambda agent: (agent.created_at, agent.id), reverse=True)


async def all_pages(tenant: Tenant, filters: Filters, limit: int) -> list[list[str]]:
    pages: list[list[str]] = []
    position: Position | None = None
    while not pages or len(pages[-1]) == limit:
        found = await page(tenant, filters, position, limit)
        pages.append([agent.id for agent in found])
        if found:
            position = Position(found[-1].created_at, found[-1].id)
    return pages


async def page(tenant: Tenant, filters: Filters, after: Position | None, limit: int) -> list[Agent]:
    async def work(transaction: AsyncManagedTransaction) -> list[Agent]:
        return await AgentRepository(transaction, tenant.id).list_newest(filters, after=after, limit=limit)

    return await tenant.graph.read(work)


WANTED: list[tuple[Filters, Any]] = [
    (Filters(typed="assistant"), lambda _: True),
    (Filters(typed="ear ass"), lambda agent: "early" in agent.description),
    (Filters(typed="early"), lambda agent: "early" in agent.description),
    (Filters(typed="even"), lambda agent: "even" in agent.description),
    (Filters(typed="nothing"), lambda _: False),
    (Filters(typed="assistant", capability="mail"), lambda agent: "mail" in agent.capabilities),
    (
        Filters(capability="e-mail", tool="vectors.search"),
        lambda agent: "e-mail" in agent.capabilities and "vectors.search" in agent.tools,
    ),
    (Filters(typed="assistant", knowledge="invoices-2025"), lambda _: True),
    (Filters(typed="assistant", tool="_"), lambda _: False),
]


@pytest.mark.usefixtures("in_small_steps")
async def test_pages_have_all_that_match_newest_first(tenant: Tenant) -> None:
    agents = await filled(tenant)

    for filters, is_wanted in WANTED:
        found = [agent_id for page in await all_pages(tenant, filters, 7) for agent_id in page]
        assert found == [agent.id for agent in agents if is_wanted(agent)], filters


async def test_the_usual_bounds_find_the_same(tenant: Tenant) -> None:
    agents = await filled(tenant)

    for filters, is_wanted in WANTED:
        found = [agent_id for page in await all_pages(tenant, filters, 20) for agent_id in page]
        assert found == [agent.id for agent in agents if is_wanted(agent)], filters


@pytest.mark.usefixtures("in_small_steps")
async def test_pages_go_on_while_agents_come_and_go(tenant: Tenant) -> None:
    agents = await filled(tenant)
    first = await page(tenant, Filters(typed="assistant"), None, 10)

    await tenant.write("create", some_agent(description="assistant"), "somebody")
    await tenant.write("delete", agents[9], "somebody")  # the one that the position is of
    await tenant.write("delete", agents[10], "somebody")
    rest = await page(tenant, Filters(typed="assistant"), Position(first[-1].created_at, first[-1].id), 100)

    assert first == agents[:10]
    assert rest == agents[11:]


@pytest.mark.parametrize("typed", ["assistant", "early", "nothing"])
async def test_a_page_takes_a_few_statements(tenant: Tenant, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr(searching, "_MOST_HITS", 6)
    monkeypatch.setattr(searching, "_FIRST", 4)
    await filled(tenant)
    statements = Counting()

    async def work(transaction: AsyncManagedTransaction) -> list[Agent]:
        repository = AgentRepository(statements.of(transaction), tenant.id)
        return await repository.list_newest(Filters(typed=typed), after=None, limit=4)

    await tenant.graph.read(work)

    assert statements.done <= 16


class Counting:
    """How many statements were run."""

    done = 0

    def of(self, transaction: AsyncManagedTransaction) -> Any:
        counting = self

        class Counted:
            async def run(self, *arguments: Any, **parameters: Any) -> Any:
                counting.done += 1
                return await transaction.run(*arguments, **parameters)

        return Counted()


async def test_who_is_deleted_between_two_statements_leaves_the_place_to_the_next(tenant: Tenant) -> None:
    agents = await filled(tenant)

    class Overtaken(searching.SearchRepository):
        async def _run(self, statement: Any, **parameters: Any) -> Any:
            rows = await super()._run(statement, **parameters)
            return [row for row in rows if "agent" not in row.keys() or row["agent"]["id"] != agents[1].id]  # noqa: SIM118

    async def work(transaction: AsyncManagedTransaction) -> list[dict[str, Any]]:
        return await Overtaken(transaction, tenant.id).list_newest(Filters(typed="assistant"), after=None, limit=3)

    found = await tenant.graph.read(work)

    assert [one["id"] for one in found] == [agents[at].id for at in (0, 2, 3)]


async def test_agents_of_a_former_release_get_their_places_in_pieces(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_PLACED_AT_ONCE", 3)
    before = former_id()
    agents = [some_agent(id=former_id(), name=f"Former {number}", created_at=spread(number)) for number in range(7)]
    for agent in agents:
        await tenant.write("create", agent, "somebody")
    told = "MATCH (a:Agent {tenant_id: $tenant_id}) RETURN a.tenant_word, a.place ORDER BY a.id"
    as_written = await tenant.query(told)
    await tenant.change(UNPLACE)
    await tenant.change("MATCH (s:SchemaVersion {service: 'agents'}) SET s.placed_through = $after", after=before)
    assert await page(tenant, Filters(typed="former"), None, 9) == []

    async with tenant.graph.session(_SECONDS) as session:
        await place_all(session)

    assert await tenant.query(told) == as_written
    found = await page(tenant, Filters(typed="former"), None, 9)
    assert {agent.id for agent in found} == {agent.id for agent in agents}


UNPLACED = "MATCH (a:Agent {tenant_id: $tenant_id}) WHERE a.place IS NULL RETURN count(a)"


async def test_placing_that_was_cut_short_goes_on_where_it_came_to(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_PLACED_AT_ONCE", 2)
    agents = sorted(await placeless(tenant, 6), key=lambda agent: agent.id)
    # As if the first four had been looked at.
    through = {"after": agents[3].id}
    await tenant.change("MATCH (s:SchemaVersion {service: 'agents'}) SET s.placed_through = $after", **through)

    async with tenant.graph.session(_SECONDS) as session:
        await place_all(session)

    assert await tenant.query(UNPLACED) == [[4]]
    await tenant.change("MATCH (a:Agent {tenant_id: $tenant_id}) DETACH DELETE a")


async def test_agents_that_a_former_release_makes_beside_this_one_get_their_places(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that come later; those that are looked at once are not looked at again."""
    monkeypatch.setattr(upkeep, "_PLACED_AT_ONCE", 4)
    monkeypatch.setattr(upkeep, "_LATE", timedelta(0))
    late = LatePlaces(tenant.graph)
    await placeless(tenant, 3)
    await late.look()
    assert await tenant.query(UNPLACED) == [[0]]

    await late.look()  # so that what was there before the last of them is passed over
    await tenant.change(UNPLACE)
    await placeless(tenant, 2, more=True)
    await late.look()

    assert await tenant.query(UNPLACED) == [[3]]
    await tenant.change("MATCH (a:Agent {tenant_id: $tenant_id}) DETACH DELETE a")


async def test_a_service_that_starts_looks_for_agents_without_a_place(tenant: Tenant, suite: Suite) -> None:
    await placeless(tenant, 2)

    async with open_service(suite, is_watched=False)("agents"), asyncio.timeout(60):
        while await tenant.query(UNPLACED) != [[0]]:  # noqa: ASYNC110 - the graph tells nobody
            await asyncio.sleep(0.1)


async def placeless(tenant: Tenant, number: int, *, more: bool = False) -> list[Agent]:
    """As many agents as a former release makes them, beside those that have a place.

    Those that are there first have ids of long ago, as the suite's own service looks for new ones meanwhile.
    """
    given = new_id if more else former_id
    agents = [some_agent(id=given(), name=f"Late {more} {at}") for at in range(number)]
    for agent in agents:
        await tenant.write("create", agent, "somebody")
    for agent in agents:
        await tenant.change("MATCH (a:Agent {id: $id}) REMOVE a.tenant_word, a.place", id=agent.id)
    return agents


def former_id() -> str:
    """An id that was given long ago: later than the one before it."""
    before = upkeep._before_ids_of(BEGIN)
    return before + new_id()[len(before) :]
