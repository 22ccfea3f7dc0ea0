"""Who can do something: by their own skill first, then through delegation."""

import itertools
from typing import Any

import httpx
import pytest

from services.agents.graph import Graph
from services.agents.matching.domain import MOST_FOLLOWED
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.agents.conftest import AGENTS, Create
from tests.services.agents.planting import Agent, dense


@pytest.fixture
async def owner(register_user: RegisterUser) -> User:
    """A tenant without agents."""
    return await register_user()


async def asked(client: httpx.AsyncClient, owner: User, *capabilities: str, **more: Any) -> dict[str, Any]:
    body = {"capabilities": capabilities} | more
    answer = await client.post(f"{AGENTS}/match", json=body, headers=owner.headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def paths(client: httpx.AsyncClient, owner: User, *capabilities: str, **more: Any) -> list[str]:
    found = await asked(client, owner, *capabilities, **more)
    for item in found["items"]:
        assert (item["agent"], item["by"]) == (item["path"][0], item["path"][-1])
    return ["-".join(agent["name"] for agent in item["path"]) for item in found["items"]]


async def delegate(client: httpx.AsyncClient, owner: User, *chain: Agent, weight: float = 1.0) -> None:
    for one, other in itertools.pairwise(chain):
        path = f"{AGENTS}/{one['id']}/relations/delegates_to/{other['id']}"
        (await client.put(path, json={"weight": weight}, headers=owner.headers)).raise_for_status()


async def named(create: Create, owner: User, names: str, *able: str) -> list[Agent]:
    """An agent for each letter; those that are `able` have both capabilities."""
    return [
        await create(name, by=owner, capabilities=["sums", "email"] if name in able else ["sums"]) for name in names
    ]


async def test_own_skill_comes_before_delegation_and_shorter_before_longer(
    client: httpx.AsyncClient, owner: User, create: Create
) -> None:
    a, b, c, d, _ = await named(create, owner, "ABCDE", "C", "E")
    await delegate(client, owner, a, b, c)
    await delegate(client, owner, d, a)

    assert await paths(client, owner, "sums", "email") == ["E", "C", "B-C", "A-B-C", "D-A-B-C"]
    assert await paths(client, owner, "email", limit=3) == ["E", "C", "B-C"]
    assert (await asked(client, owner, "email", limit=5))["truncated"] is False
    assert (await asked(client, owner, "email", limit=4))["truncated"] is True


async def test_one_agent_has_to_have_all_of_them(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    one = await create("One", by=owner, capabilities=["sums"])
    other = await create("Other", by=owner, capabilities=["email"])
    await delegate(client, owner, one, other)

    assert await paths(client, owner, "sums", "email") == []
    assert await paths(client, owner, "email") == ["Other", "One-Other"]
    assert await paths(client, owner, "email", "never-heard-of") == []


async def test_of_the_shortest_ways_the_heaviest_counts(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    a, b, c, d, e = await named(create, owner, "ABCDE", "D")
    await delegate(client, owner, a, b, weight=0.9)
    await delegate(client, owner, b, d, weight=0.1)
    await delegate(client, owner, a, c, d, weight=0.5)
    await delegate(client, owner, a, e, weight=100.0)
    await delegate(client, owner, e, b, weight=100.0)

    found = await asked(client, owner, "email", start_id=a["id"])

    assert [[agent["name"] for agent in item["path"]] for item in found["items"]] == [["A", "C", "D"]]
    assert found["items"][0]["weight"] == pytest.approx(0.25)
    assert await paths(client, owner, "email") == ["D", "C-D", "B-D", "E-B-D", "A-C-D"]


async def test_from_a_start_each_able_agent_stands_once(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    a, b, c, d, e = await named(create, owner, "ABCDE", "A", "C", "D", "E")
    await delegate(client, owner, a, b, c)
    await delegate(client, owner, a, d, weight=2.0)
    await delegate(client, owner, d, c, weight=3.0)
    await delegate(client, owner, e, a)

    assert await paths(client, owner, "email", start_id=a["id"]) == ["A", "A-D", "A-D-C"]
    assert await paths(client, owner, "email", start_id=b["id"]) == ["B-C"]
    assert await paths(client, owner, "email", start_id=a["id"], limit=1) == ["A"]


async def test_cycles_end(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    a, b, c = await named(create, owner, "ABC", "C")
    await delegate(client, owner, a, b, a)
    await delegate(client, owner, b, c, b)

    assert await paths(client, owner, "email") == ["C", "B-C", "A-B-C"]
    assert await paths(client, owner, "email", start_id=a["id"]) == ["A-B-C"]


async def test_five_steps_are_the_farthest(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    chain = await named(create, owner, "ABCDEFG", "G")
    await delegate(client, owner, *chain)

    assert (await paths(client, owner, "email"))[-1] == "B-C-D-E-F-G"
    assert await paths(client, owner, "email", start_id=chain[1]["id"]) == ["B-C-D-E-F-G"]
    assert await paths(client, owner, "email", start_id=chain[0]["id"]) == []


async def test_only_delegation_leads_somewhere(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    a, b = await named(create, owner, "AB", "B")
    for type in ("reports_to", "shares_knowledge_with"):
        path = f"{AGENTS}/{a['id']}/relations/{type}/{b['id']}"
        (await client.put(path, json={}, headers=owner.headers)).raise_for_status()

    assert await paths(client, owner, "email") == ["B"]


async def test_a_dense_graph_is_searched_by_its_relations_and_not_by_its_paths(
    client: httpx.AsyncClient, owner: User, graph: Graph
) -> None:
    """There are 3.2 million paths of five steps from each agent."""
    agents = await dense(graph, owner, agents=1_000, relations=20)
    for number in (95, 300):
        changed = {"name": f"Able {number}", "capabilities": ["email"]}
        path = f"{AGENTS}/{agents[number]['id']}"
        (await client.patch(path, json=changed, headers=owner.headers)).raise_for_status()

    found = await asked(client, owner, "email", start_id=agents[0]["id"])
    everybody = await asked(client, owner, "email", limit=100)

    assert [len(item["path"]) for item in found["items"]] == [6]
    assert found["items"][0]["by"]["name"] == "Able 95"
    assert not found["truncated"]
    assert [len(item["path"]) for item in everybody["items"]] == [1] * 2 + [2] * 40 + [3] * 40 + [4] * 18
    assert everybody["truncated"]


async def test_from_a_start_so_many_relations_are_looked_at(
    client: httpx.AsyncClient, owner: User, graph: Graph
) -> None:
    """The start and the first level have 10,100, the second as many; few agents, with a way to most of them."""
    agents = await dense(graph, owner, agents=320, relations=100)
    path = f"{AGENTS}/{agents[150]['id']}"
    await client.patch(path, json={"name": "Able", "capabilities": ["email"]}, headers=owner.headers)

    far = await asked(client, owner, "email", start_id=agents[0]["id"])
    near = await asked(client, owner, "email", start_id=agents[60]["id"], limit=1)

    assert [(len(found["items"]), found["truncated"]) for found in (far, near)] == [(1, True), (1, True)]
    assert [len(found["items"][0]["path"]) for found in (far, near)] == [3, 2]
    assert MOST_FOLLOWED < 10_100 + 10_000


async def test_a_start_that_is_foreign_is_not_found(
    client: httpx.AsyncClient, owner: User, other_user: User, create: Create
) -> None:
    theirs = await create(f"Theirs {new_id()}x", by=other_user, capabilities=["email"])

    answers = [
        await client.post(f"{AGENTS}/match", json={"capabilities": ["email"], "start_id": id}, headers=owner.headers)
        for id in (theirs["id"], new_id())
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "agents.not_found")}
    assert await paths(client, owner, "email") == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"capabilities": []}, "/capabilities"),
        ({"capabilities": [f"c{number}" for number in range(17)]}, "/capabilities"),
        ({"capabilities": ["sums", "sums"]}, "/capabilities"),
        ({"capabilities": ["Not ok"]}, "/capabilities/0"),
        ({"capabilities": ["sums"], "limit": 101}, "/limit"),
        ({"capabilities": ["sums"], "start_id": "x"}, "/start_id"),
        ({"capabilities": ["sums"], "depth": 3}, "/depth"),
    ],
)
async def test_a_bad_question_is_refused_with_a_pointer(
    client: httpx.AsyncClient, owner: User, body: Any, pointer: str
) -> None:
    answer = await client.post(f"{AGENTS}/match", json=body, headers=owner.headers)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
