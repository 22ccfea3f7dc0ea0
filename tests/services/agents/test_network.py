"""The surroundings of an agent: how far they go, and where they are cut."""

from typing import Any

import httpx
import pytest

from services.agents.graph import Graph
from services.agents.network.domain import MOST_EDGES, MOST_NODES
from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.services.agents.conftest import AGENTS, Create
from tests.services.agents.planting import crowd, dense

Agent = dict[str, Any]


async def relate(client: httpx.AsyncClient, user: User, one: Agent, type: str, other: Agent, **said: Any) -> None:
    path = f"{AGENTS}/{one['id']}/relations/{type}/{other['id']}"
    (await client.put(path, json=said, headers=user.headers)).raise_for_status()


async def around(client: httpx.AsyncClient, user: User, agent: Agent, **params: Any) -> dict[str, Any]:
    answer = await client.get(f"{AGENTS}/{agent['id']}/graph", params=params, headers=user.headers)
    return dict(answer.raise_for_status().json())


@pytest.fixture
async def ring(client: httpx.AsyncClient, user: User, create: Create) -> list[Agent]:
    """Six agents, each of which delegates to the next, and the last to the first."""
    agents = [await create(f"Ring {number} {new_id()}x", capabilities=[f"c{number}"]) for number in range(6)]
    for one, other in zip(agents, [*agents[1:], agents[0]], strict=True):
        await relate(client, user, one, "delegates_to", other, weight=2.0)
    return agents


async def test_a_lone_agent_is_its_own_surroundings(client: httpx.AsyncClient, user: User, create: Create) -> None:
    agent = await create(f"Lone {new_id()}x", capabilities=["sums"])

    assert await around(client, user, agent, depth=5) == {
        "nodes": [{"id": agent["id"], "name": agent["name"], "capabilities": ["sums"], "depth": 0}],
        "edges": [],
        "truncated": False,
    }


async def test_a_walk_goes_as_deep_as_it_may_whichever_way_relations_lead(
    client: httpx.AsyncClient, user: User, ring: list[Agent]
) -> None:
    near = await around(client, user, ring[0])
    middle = await around(client, user, ring[0], depth=2)

    assert [(node["id"], node["depth"]) for node in near["nodes"]] == [
        (ring[0]["id"], 0),
        (ring[1]["id"], 1),
        (ring[5]["id"], 1),
    ]
    assert near["edges"] == [
        {"type": "delegates_to", "from_id": one["id"], "to_id": other["id"], "weight": 2.0}
        for one, other in ((ring[0], ring[1]), (ring[5], ring[0]))
    ]
    assert {node["id"]: node["depth"] for node in middle["nodes"]} == {
        ring[number]["id"]: depth for number, depth in enumerate((0, 1, 2, None, 2, 1)) if depth is not None
    }
    assert not middle["truncated"]


async def test_a_cycle_is_walked_once(client: httpx.AsyncClient, user: User, ring: list[Agent]) -> None:
    whole = await around(client, user, ring[0], depth=5)

    assert [node["depth"] for node in whole["nodes"]] == [0, 1, 1, 2, 2, 3]
    assert len(whole["edges"]) == 6
    assert whole["nodes"][0]["capabilities"] == ["c0"]


async def test_only_relations_of_the_types_are_followed(
    client: httpx.AsyncClient, user: User, ring: list[Agent]
) -> None:
    await relate(client, user, ring[0], "reports_to", ring[3])
    await relate(client, user, ring[3], "shares_knowledge_with", ring[2])

    reports = await around(client, user, ring[0], depth=2, types="reports_to")
    both = await around(client, user, ring[0], depth=2, types=["reports_to", "shares_knowledge_with"])

    assert [node["id"] for node in reports["nodes"]] == [ring[0]["id"], ring[3]["id"]]
    assert [edge["type"] for edge in reports["edges"]] == ["reports_to"]
    assert [node["id"] for node in both["nodes"]] == [ring[0]["id"], ring[3]["id"], ring[2]["id"]]


async def test_a_walk_is_cut_at_the_rim_and_says_so(client: httpx.AsyncClient, user: User, graph: Graph) -> None:
    start, *_ = await dense(graph, user, agents=300, relations=20)

    found = await around(client, user, start, depth=5)

    assert found == await around(client, user, start, depth=5)
    assert (len(found["nodes"]), len(found["edges"]), found["truncated"]) == (MOST_NODES, MOST_EDGES, True)
    depths = {node["id"]: node["depth"] for node in found["nodes"]}
    assert list(depths.values()) == sorted(depths.values())
    assert [depths[edge["from_id"]] + depths[edge["to_id"]] for edge in found["edges"]] == sorted(
        depths[edge["from_id"]] + depths[edge["to_id"]] for edge in found["edges"]
    )


@pytest.mark.parametrize("more", [0, 1])
async def test_just_what_an_answer_may_have_is_whole(
    client: httpx.AsyncClient, user: User, graph: Graph, create: Create, more: int
) -> None:
    middle = await create(f"Middle {new_id()}x")
    await crowd(graph, user, middle, relations=MOST_NODES - 1 + more)

    found = await around(client, user, middle)

    assert (len(found["nodes"]), len(found["edges"]), found["truncated"]) == (MOST_NODES, MOST_NODES - 1, more == 1)


async def test_another_tenants_agent_has_no_surroundings(
    client: httpx.AsyncClient, other_user: User, ring: list[Agent]
) -> None:
    answer = await client.get(f"{AGENTS}/{ring[0]['id']}/graph", headers=other_user.headers)

    assert (answer.status_code, answer.json()["code"]) == (404, "agents.not_found")


@pytest.mark.parametrize("params", [{"depth": 0}, {"depth": 6}, {"types": "loves"}, {"types": ["reports_to"] * 4}])
async def test_bad_parameters_are_refused(client: httpx.AsyncClient, user: User, params: dict[str, Any]) -> None:
    answer = await client.get(f"{AGENTS}/{new_id()}/graph", params=params, headers=user.headers)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith(f"query/{next(iter(params))}")
