"""How long pages of agents take where there are very many: `python -m bench.crowd`, with the environment of agents.

    python -m local exec agents -- python -m bench.crowd --agents 100000 --neighbours 10 --of-each 10000

Fills the graph with tenants of its own, which it finds again the next time and takes away with `--clean`, and asks for
the first page of 20, and for one in the middle, by each kind of filter. A hundred thousand take minutes to fill.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Any, Final, LiteralString
from uuid import UUID

from neo4j import AsyncManagedTransaction

from services.agents.constraints import migrate
from services.agents.domain import Agent
from services.agents.graph import Graph, open_graph
from services.agents.listing import Filters, Position
from services.agents.places import moment, place, tenant_word
from services.agents.repository import AgentRepository
from services.agents.settings import Settings

_SEED, _AT_ONCE, _PAGE = 20261127, 1000, 21
_PATIENCE_SECONDS = 3600.0
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_LARGE: Final = str(UUID(int=1 << 64))
_MAKE: Final[LiteralString] = """
    UNWIND $agents AS one
    CREATE (a:Agent {tenant_id: $tenant_id, id: one.id}) SET a += one
    WITH a UNWIND a.capabilities AS name
    MERGE (n:Capability {tenant_id: $tenant_id, name: name})
    CREATE (a)-[:HAS_CAPABILITY {tenant_id: $tenant_id, name: name, created_at: a.created_at, agent_id: a.id}]->(n)
"""
_USE: Final[LiteralString] = """
    MATCH (a:Agent) WHERE a.id IN $ids AND a.tenant_id = $tenant_id
    MERGE (n:Tool {tenant_id: $tenant_id, name: 'vectors.search'})
    CREATE (a)-[:USES {tenant_id: $tenant_id, name: n.name, created_at: a.created_at, agent_id: a.id}]->(n)
"""
_CLEAN: Final[LiteralString] = """
    MATCH (a:Agent) WHERE a.tenant_id = $tenant_id WITH a LIMIT $limit DETACH DELETE a RETURN count(*) AS deleted
"""
KINDS: Final = {
    "all of them": Filters(),
    "a capability of all": Filters(capability="common"),
    "a word of all": Filters(typed="assistant"),
    "how a word of all begins": Filters(typed="as"),
    "one letter": Filters(typed="b"),
    "a word of ten": Filters(typed="seldom"),
    "a word of the oldest 1 %": Filters(typed="early"),
    "a word of none": Filters(typed="zzzz"),
    "a word of all, a capability of ten": Filters(typed="assistant", capability="rare"),
    "a capability and a tool of all": Filters(capability="common", tool="vectors.search"),
    "a capability of ten, a tool of all": Filters(capability="rare", tool="vectors.search"),
    "ten letters": Filters(typed="b c d f g k l m n p"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.crowd", description=__doc__)
    parser.add_argument("--agents", type=int, default=100_000, help="of the large tenant")
    parser.add_argument("--neighbours", type=int, default=10)
    parser.add_argument("--of-each", type=int, default=10_000, help="agents of each neighbour")
    parser.add_argument("--times", type=int, default=40, help="that each page is asked for")
    parser.add_argument("--clean", action="store_true", help="take away what it filled, and measure nothing")
    asyncio.run(_run(parser.parse_args()))


async def _run(given: argparse.Namespace) -> None:
    async with open_graph(Settings().model_copy(update={"neo4j_wait_seconds": _PATIENCE_SECONDS})) as graph:
        await migrate(graph, _PATIENCE_SECONDS)
        tenants = {str(UUID(int=(1 << 65) + number)): given.of_each for number in range(given.neighbours)}
        tenants[_LARGE] = given.agents
        if given.clean:
            for tenant_id in tenants:
                await _clean(graph, tenant_id)
            return
        for tenant_id, agents in tenants.items():
            await _fill(graph, tenant_id, agents)
        for tenant_id in list(tenants)[-2:]:
            print(f"\n{tenants[tenant_id]:,} agents, of {sum(tenants.values()):,} in the graph; ms: p50, p95")
            for label, filters in KINDS.items():
                print(
                    f"  {label:38} {await _measured(graph, tenant_id, tenants[tenant_id], filters, given.times)}",
                    flush=True,
                )


async def _fill(graph: Graph, tenant_id: str, agents: int) -> None:
    """Those that are not there yet."""
    chance = random.Random(f"{_SEED} {tenant_id}")
    words = ["".join(chance.choice("bcdfgklmnprst") + chance.choice("aeiou") for _ in range(3)) for _ in range(4000)]
    async with graph.session(_PATIENCE_SECONDS) as session:
        counted = await session.run(
            "MATCH (a:Agent) WHERE a.tenant_id = $tenant_id RETURN count(a)", tenant_id=tenant_id
        )
        present: int = (await counted.single(strict=True))[0]
        made = list(_agents(tenant_id, agents, words, chance))[present:]
        for at in range(0, len(made), _AT_ONCE):
            some = made[at : at + _AT_ONCE]
            await (await session.run(_MAKE, agents=some, tenant_id=tenant_id)).consume()
            await (await session.run(_USE, ids=[one["id"] for one in some], tenant_id=tenant_id)).consume()


def _agents(tenant_id: str, agents: int, words: list[str], chance: random.Random) -> Iterator[dict[str, Any]]:
    """Oldest first; ten of them are `seldom` and have what is `rare`, the first hundredth is `early`."""
    for number in range(agents):
        created_at = _BEGIN + timedelta(seconds=7 * number, microseconds=chance.randrange(10**6))
        is_one_of_ten = number % max(agents // 10, 1) == 0
        said = [*chance.choices(words, k=12), *(["seldom"] if is_one_of_ten else [])]
        yield {
            "id": str(UUID(int=chance.getrandbits(128), version=4)),
            "name": f"Assistant {words[number % len(words)]} {number}",
            "name_key": f"assistant {number}",
            "description": " ".join([*said, *(["early"] if number < agents // 100 else [])]),
            "instructions": "Answer briefly. " * 20,
            "capabilities": ["common", *(["rare"] if is_one_of_ten else [])],
            "knowledge": [],
            "tools": ["vectors.search"],
            "metadata": "{}",
            "version": 1,
            "created_at": created_at,
            "updated_at": created_at,
            "tenant_word": tenant_word(tenant_id),
            "place": place(tenant_id, moment(created_at)),
        }


async def _clean(graph: Graph, tenant_id: str) -> None:
    deleted = 1
    async with graph.session(_PATIENCE_SECONDS) as session:
        while deleted:
            result = await session.run(_CLEAN, tenant_id=tenant_id, limit=_AT_ONCE)
            deleted = (await result.single(strict=True))["deleted"]


async def _measured(graph: Graph, tenant_id: str, agents: int, filters: Filters, times: int) -> str:
    """Of the first page, and of one that begins in the middle of all agents."""
    middle = Position(_BEGIN + timedelta(seconds=7 * (agents // 2)), "")

    def page(after: Position | None) -> Callable[[], Awaitable[list[Agent]]]:
        async def work(transaction: AsyncManagedTransaction) -> list[Agent]:
            return await AgentRepository(transaction, tenant_id).list_newest(filters, after=after, limit=_PAGE)

        return lambda: graph.read(work)

    first, deep = await _times(page(None), times), await _times(page(middle), times)
    return f"first {first}   middle {deep}"


async def _times(ask: Callable[[], Awaitable[list[Agent]]], times: int) -> str:
    taken, found = list[float](), await ask()
    for _ in range(times):
        began = time.perf_counter()
        await ask()
        taken.append(1000 * (time.perf_counter() - began))
    cuts = quantiles(taken, n=20)
    return f"{cuts[9]:7.1f} {cuts[18]:7.1f} ({len(found):2})"


if __name__ == "__main__":
    main()
