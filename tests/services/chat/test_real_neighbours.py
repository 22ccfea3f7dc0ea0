"""A turn with the real agents, vectors and model."""

from collections.abc import AsyncIterator

import httpx
import pytest

from local.suite import Suite
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.http import authorities
from tests.fixtures.identity import User
from tests.services.chat.client import events_of

FACTS = {
    "warranty": "The warranty of the Falcon drone lasts 27 months from the day of purchase.",
    "weight": "The Falcon drone weighs 800 grams with its battery.",
    "range": "The remote control of the Falcon drone reaches four kilometres.",
}


@pytest.fixture
async def chat(suite: Suite, service_client: ServiceClient, user: User) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["redis", "agents", "vectors", "llm"])
    async with service_client("chat", answer_tokens=40) as client:
        client.headers.update(user.headers)
        client.timeout = httpx.Timeout(110)  # a small machine reads a prompt slowly
        yield client


@pytest.fixture
async def agent_id(suite: Suite, user: User) -> str:
    """An agent that knows FACTS."""
    suite.up(["agents", "vectors"])
    collection = f"facts-{new_id()}"
    items = [{"id": name, "text": text} for name, text in FACTS.items()]
    agent = {"name": f"support {new_id()}", "instructions": "Answer in one sentence.", "knowledge": [collection]}
    async with httpx.AsyncClient(headers=user.headers, timeout=60, verify=authorities()) as client:
        vectors, agents = (f"http://127.0.0.1:{suite.site.ports[name]}/api/v1" for name in ("vectors", "agents"))
        stored = await client.post(f"{vectors}/vectors/store", json={"collection": collection, "items": items})
        stored.raise_for_status()
        created = await client.post(f"{agents}/agents/create", json=agent)
        created.raise_for_status()
    agent_id: str = created.json()["id"]
    return agent_id


async def test_openais_clients_ask_a_real_agent_by_its_name(
    chat: httpx.AsyncClient, suite: Suite, user: User, agent_id: str
) -> None:
    async with httpx.AsyncClient(headers=user.headers, timeout=60, verify=authorities()) as client:
        agents = f"http://127.0.0.1:{suite.site.ports['agents']}/api/v1/agents"
        name = (await client.get(f"{agents}/{agent_id}")).json()["name"]
    messages = [{"role": "user", "content": "How long is the warranty of the Falcon drone?"}]

    answer = await chat.post("/api/v1/chat/completions", json={"model": name, "messages": messages})
    listed = (await chat.get("/api/v1/models")).json()["data"]

    choice = answer.raise_for_status().json()["choices"][0]
    assert choice["message"]["content"] == f"{FACTS['warranty']} [1]"
    assert choice["message"]["citations"][0]["record_id"] == "warranty"
    assert [one["owned_by"] for one in listed if one["agent_id"] == agent_id] == ["agents"]
    assert [one["owned_by"] for one in listed][-1] == "default"


async def test_the_answer_of_a_real_model_cites_what_was_found(chat: httpx.AsyncClient, agent_id: str) -> None:
    body = {"agent_id": agent_id, "content": "How long is the warranty of the Falcon drone?"}

    answer = await chat.post("/api/v1/chat/message", json=body)

    reply = answer.json()
    assert answer.status_code == 200, reply
    assert reply["message"]["content"] == f"{FACTS['warranty']} [1]"
    assert (reply["message"]["citations"][0]["record_id"], reply["finish_reason"]) == ("warranty", "stop")
    assert {citation["text"] for citation in reply["message"]["citations"]} == set(FACTS.values())
    assert reply["usage"]["total_tokens"] == reply["usage"]["prompt_tokens"] + reply["usage"]["completion_tokens"]


async def test_the_answer_of_a_real_model_streams(chat: httpx.AsyncClient, agent_id: str) -> None:
    body = {"agent_id": agent_id, "content": "How heavy is the Falcon drone?", "stream": True}

    async with chat.stream("POST", "/api/v1/chat/message", json=body) as response:
        events = [event async for event in events_of(response)]

    deltas = [event.data["content"] for event in events if event.type == "message.delta"]
    assert events[-1].type == "run.completed", events[-1]
    assert "".join(deltas) == events[-2].data["message"]["content"]
    assert len(deltas) > 1


async def test_the_model_writes_for_nobody_without_its_key(suite: Suite) -> None:
    suite.up(["llm"])
    chat = suite.environment("chat")
    body = {"model": chat["LLM_MODEL"], "max_tokens": 1, "messages": [{"role": "user", "content": "Hello"}]}

    async with httpx.AsyncClient(base_url=chat["LLM_URL"], timeout=60, verify=authorities()) as model:
        keyless = await model.post("/chat/completions", json=body)
        known = await model.post(
            "/chat/completions", json=body, headers={"Authorization": f"Bearer {chat['LLM_API_KEY']}"}
        )

    assert (keyless.status_code, known.status_code) == (401, 200)
