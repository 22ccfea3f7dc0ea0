"""An agent out as a document, and in again."""

import asyncio
import json
from collections import Counter
from dataclasses import fields
from typing import Any

import httpx
import pytest

from services.agents.documents.schemas import AgentContent, AgentContentRead
from services.agents.domain import Content
from services.agents.graph import Graph
from services.agents.relations.domain import MOST_RELATIONS
from services.agents.schemas import AgentCreate
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.agents.conftest import AGENTS, Create
from tests.services.agents.planting import Agent, crowd

CONTENT: dict[str, Any] = {
    "description": "Reads invoices. 発票 🧾",
    "instructions": "Answer briefly.\nCite.",
    "model": "m1",
    "capabilities": ["invoices", "email"],
    "knowledge": ["invoices-2025"],
    "tools": ["tasks.submit", "vectors.search"],
    "history": "summarise",
    "metadata": {"team": "finance", "tier": 1, "ratio": 1.0, "public": False},
}
SMALL: dict[str, Any] = {
    "format": "sutazai.agent",
    "format_version": 1,
    "exported_at": "2026-01-01T00:00:00Z",
    "agent": {"name": "Imported", "instructions": "x"},
    "relations": [],
}


def relation(type: str, direction: str, agent: str, **more: Any) -> dict[str, Any]:
    return {"type": type, "direction": direction, "agent": agent, "weight": 1.0, "metadata": {}} | more


@pytest.fixture
async def owner(register_user: RegisterUser) -> User:
    """A tenant without agents."""
    return await register_user()


async def exported(client: httpx.AsyncClient, owner: User, agent: Agent) -> dict[str, Any]:
    answer = await client.get(f"{AGENTS}/{agent['id']}/export", headers=owner.headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def imported(client: httpx.AsyncClient, owner: User, document: Any, **headers: str) -> httpx.Response:
    return await client.post(f"{AGENTS}/import", json=document, headers=owner.headers | headers)


async def define(client: httpx.AsyncClient, owner: User, tool: str) -> None:
    body = {"kind": "http", "description": "x", "url": "https://example.com/"}
    (await client.put(f"{AGENTS}/tools/{tool}", json=body, headers=owner.headers)).raise_for_status()


@pytest.fixture
async def related(client: httpx.AsyncClient, owner: User, create: Create) -> Agent:
    """An agent with a relation of each type and direction."""
    agent = await create("Whole", by=owner, **CONTENT)
    for name, type, turned in (
        ("Boss", "reports_to", False),
        ("Helper", "delegates_to", False),
        ("Asker", "delegates_to", True),
        ("Friend", "shares_knowledge_with", False),
    ):
        other = await create(name, by=owner)
        one, two = (other, agent) if turned else (agent, other)
        path = f"{AGENTS}/{one['id']}/relations/{type}/{two['id']}"
        said = {"weight": 0.25, "metadata": {"since": name, "tier": 1, "ratio": 1.0}}
        (await client.put(path, json=said, headers=owner.headers)).raise_for_status()
    return agent


async def test_a_document_has_everything_but_ids_and_history(
    client: httpx.AsyncClient, owner: User, related: Agent
) -> None:
    document = await exported(client, owner, related)

    assert document.keys() == SMALL.keys()
    assert (document["format"], document["format_version"]) == ("sutazai.agent", 2)
    assert document["agent"] == {"name": "Whole"} | CONTENT
    assert {(one["type"], one["direction"], one["agent"]) for one in document["relations"]} == {
        ("delegates_to", "in", "Asker"),
        ("delegates_to", "out", "Helper"),
        ("reports_to", "out", "Boss"),
        ("shares_knowledge_with", "both", "Friend"),
    }
    assert related["id"] not in json.dumps(document)


async def test_what_was_exported_comes_back_field_by_field(
    client: httpx.AsyncClient, owner: User, related: Agent
) -> None:
    document = await exported(client, owner, related)
    await client.delete(f"{AGENTS}/{related['id']}", headers=owner.headers)

    answer = await imported(client, owner, document)

    agent = answer.json()["agent"]
    assert (answer.status_code, answer.json()["unresolved"]) == (201, [])
    assert answer.headers["location"] == f"{AGENTS}/{agent['id']}"
    assert (answer.headers["etag"][:3], agent["version"]) == ('"1:', 1)
    assert agent["id"] != related["id"]
    again = await exported(client, owner, agent)
    assert by_key(again) == by_key(document)
    assert json.dumps(again["agent"]) == json.dumps(document["agent"])  # 1 is not 1.0
    history = await client.get(f"{AGENTS}/{agent['id']}/versions/1", headers=owner.headers)
    assert history.json()["created_by"] == owner.user_id


def by_key(document: dict[str, Any]) -> list[str]:
    return sorted(json.dumps(one) for one in document["relations"])


async def test_names_that_nobody_has_are_told(
    client: httpx.AsyncClient, owner: User, other_user: User, related: Agent, register_user: RegisterUser
) -> None:
    document = await exported(client, owner, related)
    elsewhere = await register_user()

    answer = await imported(client, elsewhere, document)

    assert answer.status_code == 201
    told = [{name: one[name] for name in ("type", "direction", "agent")} for one in document["relations"]]
    assert sorted(map(json.dumps, answer.json()["unresolved"])) == sorted(map(json.dumps, told))
    assert (await exported(client, elsewhere, answer.json()["agent"]))["relations"] == []


async def test_names_are_found_however_they_are_written(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    await create("Helper", by=owner)
    document = SMALL | {
        "relations": [relation("delegates_to", "out", "HELPER"), relation("delegates_to", "out", "Nobody")]
    }

    answer = await imported(client, owner, document)

    assert [one["agent"] for one in answer.json()["unresolved"]] == ["Nobody"]


async def test_who_may_have_no_more_relations_is_told(
    client: httpx.AsyncClient, owner: User, create: Create, graph: Graph
) -> None:
    full = await create("Full", by=owner)
    await crowd(graph, owner, full, relations=MOST_RELATIONS - 1)
    both = [relation("delegates_to", "out", "Full"), relation("reports_to", "out", "Full")]

    answer = await imported(client, owner, SMALL | {"relations": both})

    assert answer.status_code == 201
    assert [one["type"] for one in answer.json()["unresolved"]] == ["reports_to"]


async def test_as_many_relations_as_an_agent_may_have_go_out_and_in(
    client: httpx.AsyncClient, owner: User, create: Create, graph: Graph
) -> None:
    agent = await create("Whole", by=owner)
    await crowd(graph, owner, agent, relations=MOST_RELATIONS)
    document = await exported(client, owner, agent)
    types = [{}, {"type": "reports_to"}, {"type": "shares_knowledge_with", "direction": "both"}]
    document["relations"] = [
        one | {"weight": number + 0.5, "metadata": {"number": number}} | types[number % 3]
        for number, one in enumerate(document["relations"])
    ]

    answer = await imported(client, owner, document | {"agent": {"name": "Copy", "instructions": "x"}})

    assert (answer.status_code, answer.json()["unresolved"]) == (201, [])
    again = await exported(client, owner, answer.json()["agent"])
    assert len(again["relations"]) == MOST_RELATIONS
    assert by_key(again) == by_key(document)


async def test_the_largest_document_is_taken_however_its_characters_are_written(
    client: httpx.AsyncClient, owner: User
) -> None:
    """As text and as `\\u1234`: what is exported is never too large to be imported."""

    def long(most: int, number: int = 0) -> str:
        return f"{number:03}".ljust(most, "漢")

    metadata = {str(number).rjust(64, "k"): long(256) for number in range(8)}
    relations = [
        relation("shares_knowledge_with", "both", long(100, number), weight=999.999999999999, metadata=metadata)
        for number in range(MOST_RELATIONS)
    ]
    agent = {
        "name": long(100, 999),
        "description": long(2_000),
        "instructions": long(32_768),
        "model": "m" * 128,
        "capabilities": [str(number).rjust(64, "c") for number in range(64)],
        "knowledge": [str(number).rjust(63, "k") for number in range(16)],
        "tools": [str(number).rjust(64, "t") for number in range(32)],
        "history": "summarise",
        "metadata": {str(number).rjust(64, "k"): long(1_024) for number in range(64)},
    }
    for tool in agent["tools"]:
        await define(client, owner, tool)
    for number, is_escaped in ((999, True), (998, False)):
        document = SMALL | {"agent": agent | {"name": long(100, number)}, "relations": relations}
        answer = await client.post(
            f"{AGENTS}/import",
            content=json.dumps(document, ensure_ascii=is_escaped).encode(),
            headers=owner.headers | {"Content-Type": "application/json"},
        )

        assert answer.status_code == 201, answer.text[:1_000]
        assert len(answer.json()["unresolved"]) == MOST_RELATIONS
        again = await exported(client, owner, answer.json()["agent"])
        assert again["agent"] == document["agent"]


def test_a_document_has_every_field_of_an_agent() -> None:
    """One that is added to agents and forgotten in documents would be lost on the way."""
    named = [set(model.model_fields) for model in (AgentContent, AgentContentRead, AgentCreate)]

    assert named == [{field.name for field in fields(Content)}] * 3


async def test_a_tool_that_is_not_there_is_left_out_and_named(client: httpx.AsyncClient, owner: User) -> None:
    await define(client, owner, "weather")
    document = SMALL | {"agent": SMALL["agent"] | {"tools": ["gone", "weather", "tasks.submit"]}}

    first, again = [await imported(client, owner, document, **{"Idempotency-Key": "k"}) for _ in range(2)]

    assert first.json()["undefined_tools"] == ["gone"]
    assert first.json()["agent"]["tools"] == ["weather", "tasks.submit"]
    assert again.json() == first.json()


async def test_a_name_that_is_taken_is_refused_without_effect(
    client: httpx.AsyncClient, owner: User, related: Agent
) -> None:
    document = await exported(client, owner, related)

    answer = await imported(client, owner, document)

    assert (answer.status_code, answer.json()["code"]) == (409, "agents.name_taken")
    assert by_key(await exported(client, owner, related)) == by_key(document)


async def test_a_repetition_under_its_key_finds_the_agent(
    client: httpx.AsyncClient, owner: User, create: Create
) -> None:
    await create("Helper", by=owner)
    document = SMALL | {
        "relations": [relation("delegates_to", "out", "Helper"), relation("delegates_to", "out", "Nobody")]
    }
    key = {"Idempotency-Key": new_id()}

    answers = await asyncio.gather(*(imported(client, owner, document, **key) for _ in range(6)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert Counter(answer.headers.get("idempotency-replayed") for answer in answers) == {None: 1, "true": 5}
    other = await imported(client, owner, document | {"relations": []}, **key)
    assert (other.status_code, other.json()["code"]) == (422, "common.idempotency_key_reused")


async def test_a_document_of_the_first_format_makes_an_agent_that_cuts_its_history(
    client: httpx.AsyncClient, owner: User
) -> None:
    answer = await imported(client, owner, SMALL)

    assert (answer.status_code, answer.json()["agent"]["history"]) == (201, "cut")


@pytest.mark.parametrize("broken", [{}, {"agent": {"of": "the future"}, "soul": True}])
async def test_a_document_of_the_future_is_refused_as_such(
    client: httpx.AsyncClient, owner: User, broken: dict[str, Any]
) -> None:
    answer = await imported(client, owner, SMALL | {"format_version": 3} | broken)

    assert (answer.status_code, answer.json()["code"]) == (422, "agents.document_too_new")
    assert answer.json()["errors"][0]["pointer"] == "/format_version"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"format": "other"}, "/format"),
        ({"format_version": 0}, "/format_version"),
        ({"soul": 1}, "/soul"),
        ({"agent": {"name": "x"}}, "/agent/instructions"),
        ({"agent": {"name": "x", "instructions": "x", "id": "1"}}, "/agent/id"),
        ({"agent": {"name": "x", "instructions": "x", "tools": ["no tool"]}}, "/agent/tools/0"),
        ({"relations": [relation("loves", "out", "A")]}, "/relations/0/type"),
        ({"relations": [relation("delegates_to", "both", "A")]}, "/relations/0"),
        ({"relations": [relation("shares_knowledge_with", "in", "A")]}, "/relations/0"),
        ({"relations": [relation("delegates_to", "out", "A"), relation("delegates_to", "out", "a")]}, "/relations"),
        ({"relations": [relation("delegates_to", "out", "A", weight=0)]}, "/relations/0/weight"),
        ({"relations": [relation("delegates_to", "out", f"A {n}") for n in range(501)]}, "/relations"),
        ({"relations": [relation("delegates_to", "in", "IMPORTED")]}, "/relations/0/agent"),
    ],
)
async def test_a_broken_document_is_refused_with_a_pointer(
    client: httpx.AsyncClient, owner: User, changes: dict[str, Any], pointer: str
) -> None:
    answer = await imported(client, owner, SMALL | changes)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), answer.text


async def test_another_tenants_agent_is_not_exported(
    client: httpx.AsyncClient, other_user: User, related: Agent
) -> None:
    answer = await client.get(f"{AGENTS}/{related['id']}/export", headers=other_user.headers)

    assert (answer.status_code, answer.json()["code"]) == (404, "agents.not_found")
