"""How agents are related: made, changed, listed, ended."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from services.agents.graph import Graph
from services.agents.relations.domain import MOST_RELATIONS
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.http import version_of
from tests.fixtures.identity import RegisterUser, User
from tests.services.agents.conftest import AGENTS, PATIENT, Create
from tests.services.agents.planting import crowd

Agent = dict[str, Any]


def between(one: Agent, type: str, other: Agent) -> str:
    return f"{AGENTS}/{one['id']}/relations/{type}/{other['id']}"


@pytest.fixture
async def pair(create: Create) -> tuple[Agent, Agent]:
    """Two agents, the smaller id first."""
    return await create(f"One {new_id()}x"), await create(f"Other {new_id()}x")


async def listed(client: httpx.AsyncClient, user: User, agent: Agent, **params: Any) -> list[dict[str, Any]]:
    answer = await client.get(f"{AGENTS}/{agent['id']}/relations", params=params, headers=user.headers)
    return list(answer.raise_for_status().json()["items"])


async def test_a_relation_is_made_and_read_from_both_ends(
    client: httpx.AsyncClient, user: User, pair: tuple[Agent, Agent]
) -> None:
    one, other = pair
    body = {"weight": 0.5, "metadata": {"since": "2026", "tier": 1, "ratio": 1.0}}

    made = await client.put(between(one, "delegates_to", other), json=body, headers=user.headers)

    relation = made.json()
    assert made.status_code == 201
    assert made.headers["location"] == between(one, "delegates_to", other)
    assert relation.items() >= (body | {"type": "delegates_to", "direction": "out"}).items()
    assert relation["agent"] == {"id": other["id"], "name": other["name"]}
    assert [type(value) for value in relation["metadata"].values()] == [str, int, float]
    read = await client.get(made.headers["location"], headers=user.headers)
    assert (read.json(), read.headers["etag"]) == (relation, made.headers["etag"])
    assert await listed(client, user, one) == [relation]
    assert await listed(client, user, other) == [
        relation | {"direction": "in", "agent": {"id": one["id"], "name": one["name"]}}
    ]


async def test_the_same_put_changes_nothing_and_another_does(
    client: httpx.AsyncClient, user: User, pair: tuple[Agent, Agent]
) -> None:
    path = between(pair[0], "reports_to", pair[1])

    first, same, other, typed = [
        await client.put(path, json=body, headers=user.headers)
        for body in ({}, {"weight": 1}, {"metadata": {"tier": 1}}, {"metadata": {"tier": True}})
    ]

    assert [answer.status_code for answer in (first, same, other, typed)] == [201, 200, 200, 200]
    assert (same.json(), same.headers["etag"]) == (first.json(), first.headers["etag"])
    assert len({answer.headers["etag"] for answer in (first, other, typed)}) == 3
    assert (typed.json()["metadata"], typed.json()["created_at"]) == ({"tier": True}, first.json()["created_at"])
    assert len(await listed(client, user, pair[0])) == 1


@pytest.mark.parametrize("turned", [False, True])
async def test_sharing_is_one_relation_from_either_side(
    client: httpx.AsyncClient, user: User, pair: tuple[Agent, Agent], turned: bool
) -> None:
    one, other = pair[::-1] if turned else pair
    made = await client.put(between(one, "shares_knowledge_with", other), json={}, headers=user.headers)

    again = await client.put(between(other, "shares_knowledge_with", one), json={}, headers=user.headers)

    assert (made.status_code, again.status_code) == (201, 200)
    assert version_of(again) == version_of(made)
    for direction in ("in", "out", "both"):
        [relation] = await listed(client, user, one, direction=direction)
        assert (relation["direction"], relation["agent"]["id"]) == ("both", other["id"])
    gone = await client.delete(between(other, "shares_knowledge_with", one), headers=user.headers)
    assert (gone.status_code, await listed(client, user, one)) == (204, [])


async def test_relations_are_listed_by_type_and_direction_in_pages(
    client: httpx.AsyncClient, user: User, create: Create
) -> None:
    agents = [await create(f"Listed {number} {new_id()}x") for number in range(4)]
    middle, *others = agents
    for type, one, other in [
        ("delegates_to", middle, others[0]),
        ("delegates_to", others[0], middle),
        ("reports_to", middle, others[1]),
        ("shares_knowledge_with", others[2], middle),
    ]:
        await client.put(between(one, type, other), json={}, headers=user.headers)

    async def seen(**params: Any) -> list[tuple[str, str]]:
        return [(one["type"], one["direction"]) for one in await listed(client, user, middle, **params)]

    assert await seen() == [
        ("delegates_to", "in"),
        ("delegates_to", "out"),
        ("reports_to", "out"),
        ("shares_knowledge_with", "both"),
    ]
    assert await seen(direction="in") == [("delegates_to", "in"), ("shares_knowledge_with", "both")]
    assert await seen(types=["reports_to", "delegates_to"], direction="out") == [
        ("delegates_to", "out"),
        ("reports_to", "out"),
    ]
    assert await in_pages(client, user, middle) == await listed(client, user, middle)


async def in_pages(client: httpx.AsyncClient, user: User, agent: Agent) -> list[dict[str, Any]]:
    found, params = [], {"limit": "1"}
    while True:
        path = f"{AGENTS}/{agent['id']}/relations"
        page = (await client.get(path, params=params, headers=user.headers)).raise_for_status().json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        params["cursor"] = page["next_cursor"]


async def test_an_ended_relation_is_gone_and_may_be_made_again(
    client: httpx.AsyncClient, user: User, pair: tuple[Agent, Agent]
) -> None:
    path = between(pair[0], "delegates_to", pair[1])
    await client.put(path, json={}, headers=user.headers)

    ended, again, read = [await client.request(way, path, headers=user.headers) for way in ("DELETE", "DELETE", "GET")]

    assert (ended.status_code, ended.content) == (204, b"")
    assert {(answer.status_code, answer.json()["code"]) for answer in (again, read)} == {
        (404, "agents.relation_not_found")
    }
    assert (await client.put(path, json={}, headers=user.headers)).status_code == 201


async def test_the_way_back_is_another_relation(
    client: httpx.AsyncClient, user: User, pair: tuple[Agent, Agent]
) -> None:
    await client.put(between(pair[0], "delegates_to", pair[1]), json={}, headers=user.headers)

    read = await client.get(between(pair[1], "delegates_to", pair[0]), headers=user.headers)

    assert (read.status_code, read.json()["code"]) == (404, "agents.relation_not_found")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_stale_tag_is_refused_without_effect(
    client: httpx.AsyncClient, user: User, pair: tuple[Agent, Agent], method: str
) -> None:
    path = between(pair[0], "delegates_to", pair[1])
    body: dict[str, Any] = {"json": {"weight": 3.0}} if method == "PUT" else {}
    absent = await client.put(path, json={}, headers=user.headers | {"If-Match": "*"})
    first = await client.put(path, json={}, headers=user.headers)
    current = await client.put(path, json={"weight": 2.0}, headers=user.headers)

    stale = await client.request(method, path, headers=user.headers | {"If-Match": first.headers["etag"]}, **body)
    fresh = await client.request(method, path, headers=user.headers | {"If-Match": current.headers["etag"]}, **body)

    assert (absent.status_code, stale.status_code) == (412, 412)
    assert fresh.status_code == (200 if method == "PUT" else 204)


async def test_an_agent_has_no_relation_to_itself(
    client: httpx.AsyncClient, user: User, pair: tuple[Agent, Agent]
) -> None:
    answer = await client.put(between(pair[0], "delegates_to", pair[0]), json={}, headers=user.headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "agents.relation_to_itself")
    assert answer.json()["errors"][0]["pointer"] == "path/other_id"


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
async def test_what_is_missing_is_named_and_what_is_foreign_is_missing(
    client: httpx.AsyncClient, user: User, other_user: User, pair: tuple[Agent, Agent], create: Create, method: str
) -> None:
    theirs = await create(f"Theirs {new_id()}x", by=other_user)
    absent = {"id": new_id()}
    body: dict[str, Any] = {"json": {}} if method == "PUT" else {}

    for one, other, missing in (
        (pair[0], theirs, theirs),
        (theirs, pair[0], theirs),
        (pair[0], absent, absent),
        (absent, pair[0], absent),
    ):
        answer = await client.request(method, between(one, "delegates_to", other), headers=user.headers, **body)
        assert (answer.status_code, answer.json()["code"]) == (404, "agents.not_found")
        assert missing["id"] in answer.json()["detail"]
    assert await listed(client, other_user, theirs) == []


@pytest.mark.parametrize(
    ("type", "body", "pointer"),
    [
        ("loves", {}, "path/type"),
        ("delegates_to", {"weight": 0}, "/weight"),
        ("delegates_to", {"weight": 1001}, "/weight"),
        ("delegates_to", {"weight": "1"}, "/weight"),
        ("delegates_to", {"weight": True}, "/weight"),
        ("delegates_to", {"colour": "red"}, "/colour"),
        ("delegates_to", {"metadata": {"x": "y" * 257}}, "/metadata/x"),
        ("delegates_to", {"metadata": {"x": None}}, "/metadata/x"),
        ("delegates_to", {"metadata": {f"k{number}": 1 for number in range(9)}}, "/metadata"),
    ],
)
async def test_what_no_relation_says_is_refused(
    client: httpx.AsyncClient, user: User, pair: tuple[Agent, Agent], type: str, body: Any, pointer: str
) -> None:
    answer = await client.put(between(pair[0], type, pair[1]), json=body, headers=user.headers)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize("weight", ["NaN", "Infinity", "1e999"])
async def test_a_weight_is_finite(
    client: httpx.AsyncClient, user: User, pair: tuple[Agent, Agent], weight: str
) -> None:
    headers = user.headers | {"Content-Type": "application/json"}

    answer = await client.put(
        between(pair[0], "delegates_to", pair[1]), content=f'{{"weight": {weight}}}', headers=headers
    )

    assert answer.status_code == 422


async def test_a_relation_goes_with_either_agent(client: httpx.AsyncClient, user: User, create: Create) -> None:
    first, middle, last = [await create(f"Chained {number} {new_id()}x") for number in range(3)]
    await client.put(between(first, "delegates_to", middle), json={}, headers=user.headers)
    await client.put(between(middle, "delegates_to", last), json={}, headers=user.headers)

    deleted = await client.delete(f"{AGENTS}/{middle['id']}", headers=user.headers)

    assert deleted.status_code == 204
    assert [await listed(client, user, agent) for agent in (first, last)] == [[], []]


async def test_a_renamed_agent_is_named_so_by_its_relations(
    client: httpx.AsyncClient, user: User, pair: tuple[Agent, Agent]
) -> None:
    await client.put(between(pair[0], "delegates_to", pair[1]), json={}, headers=user.headers)
    name = f"Renamed {new_id()}x"

    await client.patch(f"{AGENTS}/{pair[1]['id']}", json={"name": name}, headers=user.headers)

    assert (await listed(client, user, pair[0]))[0]["agent"]["name"] == name


@pytest.mark.parametrize("turned", [False, True])
async def test_an_agent_has_so_many_relations_and_no_more(
    client: httpx.AsyncClient, user: User, pair: tuple[Agent, Agent], graph: Graph, create: Create, turned: bool
) -> None:
    full, other = pair
    await crowd(graph, user, full, relations=MOST_RELATIONS - 1)
    ends = (other, full) if turned else (full, other)
    last = await client.put(between(ends[0], "delegates_to", ends[1]), json={}, headers=user.headers)
    third = await create(f"Third {new_id()}x")
    ends = (third, full) if turned else (full, third)

    beyond = await client.put(between(ends[0], "reports_to", ends[1]), json={}, headers=user.headers)
    changed = await client.put(last.headers["location"], json={"weight": 2.0}, headers=user.headers)

    assert (last.status_code, changed.status_code) == (201, 200)
    assert (beyond.status_code, beyond.json()["code"]) == (409, "agents.too_many_relations")
    assert full["id"] in beyond.json()["detail"]


async def test_many_at_once_never_go_beyond_the_bound(
    client: httpx.AsyncClient, user: User, pair: tuple[Agent, Agent], graph: Graph, create: Create
) -> None:
    await crowd(graph, user, pair[0], relations=MOST_RELATIONS - 2)
    others = [await create(f"Late {number} {new_id()}x") for number in range(6)]

    answers = await asyncio.gather(
        *(client.put(between(other, "delegates_to", pair[0]), json={}, headers=user.headers) for other in others)
    )

    assert Counter(answer.status_code for answer in answers) == {201: 2, 409: 4}


async def test_many_at_once_make_one_relation(
    client: httpx.AsyncClient, service_client: ServiceClient, user: User, pair: tuple[Agent, Agent]
) -> None:
    """On two replicas, and from both sides."""
    paths = [between(one, "shares_knowledge_with", other) for one, other in (pair, pair[::-1])]
    async with service_client("agents", **PATIENT) as replica:
        answers = await asyncio.gather(
            *(one.put(path, json={}, headers=user.headers) for one in (client, replica) for path in paths * 4)
        )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 15}
    assert len({version_of(answer) for answer in answers}) == 1
    assert len(await listed(client, user, pair[0])) == 1


async def test_agents_that_are_related_to_each_other_at_once_do_not_deadlock(
    client: httpx.AsyncClient, user: User, create: Create
) -> None:
    agents = [await create(f"Knot {number} {new_id()}x") for number in range(5)]
    paths = [between(one, "delegates_to", other) for one in agents for other in agents if one is not other]

    made = await asyncio.gather(*(client.put(path, json={}, headers=user.headers) for path in paths))
    ended = await asyncio.gather(*(client.delete(path, headers=user.headers) for path in paths))

    assert {answer.status_code for answer in made} == {201}
    assert {answer.status_code for answer in ended} == {204}


async def test_agents_may_be_deleted_while_they_are_related(
    service_client: ServiceClient, user: User, create: Create
) -> None:
    """Those that deadlock are run again: here for longer than a request usually has."""
    agents = [await create(f"Passing {number} {new_id()}x") for number in range(5)]
    paths = [between(one, "delegates_to", other) for one in agents for other in agents if one is not other]

    async with service_client("agents", **PATIENT) as client:
        related = [client.put(path, json={}, headers=user.headers) for path in paths]
        deleted = [client.delete(f"{AGENTS}/{agent['id']}", headers=user.headers) for agent in agents[1:]]
        answers = await asyncio.gather(*related, *deleted)
        left = await listed(client, user, agents[0])

    assert {answer.status_code for answer in answers[: len(paths)]} <= {201, 404}
    assert {answer.status_code for answer in answers[len(paths) :]} == {204}
    assert left == []


async def test_who_may_only_read_relates_nothing(client: httpx.AsyncClient, register_user: RegisterUser) -> None:
    reader = await register_user(scope="agents:read")
    path = f"{AGENTS}/{new_id()}/relations/delegates_to/{new_id()}"

    put = await client.put(path, json={}, headers=reader.headers)
    deleted = await client.delete(path, headers=reader.headers)

    assert (put.status_code, deleted.status_code) == (403, 403)
