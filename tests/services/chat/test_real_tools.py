"""Tools of chat's own, used with the real agents, vectors and tasks, by a model that says what a test tells it."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from local.suite import Suite
from shared.schemas import new_id
from tests.fixtures.http import authorities
from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat, events_of
from tests.services.chat.scripts import calls, says
from tests.services.chat.servers import ModelServer

MESSAGE = "/api/v1/chat/message"
pytestmark = pytest.mark.timeout(300)  # three services start beside their stores
NEIGHBOURS = ("agents", "vectors", "tasks")


@pytest.fixture
def addresses(suite: Suite) -> dict[str, str]:
    suite.up(list(NEIGHBOURS))
    return {name: f"http://127.0.0.1:{suite.site.ports[name]}" for name in NEIGHBOURS}


@pytest.fixture
async def chat(open_chat: OpenChat, addresses: dict[str, str], user: User) -> AsyncIterator[httpx.AsyncClient]:
    async with open_chat(services=addresses, agent_seconds=20, search_seconds=30) as client:
        client.headers.update(user.headers)
        client.timeout = httpx.Timeout(60)
        yield client


@pytest.fixture
async def body(addresses: dict[str, str], user: User) -> dict[str, Any]:
    """To an agent that hands tasks on, and may delegate to one who knows a fact."""
    collection = f"facts-{new_id()}"
    fact = {"collection": collection, "items": [{"id": "price", "text": "The Falcon costs 90 euros."}]}
    asked = {"name": f"asked {new_id()}", "instructions": "Ask.", "tools": ["agents.delegate", "tasks.submit"]}
    knows = {
        "name": f"clerk {new_id()}",
        "instructions": "Know.",
        "tools": ["vectors.search"],
        "knowledge": [collection],
    }
    async with httpx.AsyncClient(headers=user.headers, timeout=60, verify=authorities()) as client:
        agents = f"{addresses['agents']}/api/v1/agents"
        (await client.post(f"{addresses['vectors']}/api/v1/vectors/store", json=fact)).raise_for_status()
        above, below = [(await client.post(f"{agents}/create", json=one)).json()["id"] for one in (asked, knows)]
        (await client.put(f"{agents}/{above}/relations/delegates_to/{below}", json={})).raise_for_status()
    return {"agent_id": above, "content": "What does it cost?", "stream": True, "clerk": knows["name"]}


async def test_a_task_is_handed_on_found_out_and_cited(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, addresses: dict[str, str]
) -> None:
    model.scripted = [
        calls(("agents_delegate", {"agent": body.pop("clerk"), "task": "What does the Falcon cost?"})),
        calls(("vectors_search", {"query": "price of the Falcon", "k": 1})),
        says("90 euros [1]."),
        calls(("tasks_submit", {"kind": "echo", "input": {"text": "90"}})),
        says("It costs 90 euros [1]."),
    ]

    async with chat.stream("POST", MESSAGE, json=body) as response:
        events = [event async for event in events_of(response)]

    results = [event.data for event in events if event.type == "tool.completed"]
    assert [(one["tool"], one["is_error"]) for one in results] == [
        ("vectors.search", False),
        ("agents.delegate", False),
        ("tasks.submit", False),
    ], results
    assert [one["record_id"] for one in events[-2].data["message"]["citations"]] == ["price"]


async def test_what_tasks_refuses_is_told_to_the_model(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer
) -> None:
    body.pop("clerk")
    model.scripted = [calls(("tasks_submit", {"kind": "no.such.kind"})), says("There is no such work.")]

    async with chat.stream("POST", MESSAGE, json=body) as response:
        events = [event async for event in events_of(response)]

    [completed] = [event.data for event in events if event.type == "tool.completed"]
    assert completed["is_error"]
    assert "no.such.kind" in completed["content"]
