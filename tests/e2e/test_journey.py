"""The main job through the gateway, on every engine."""

import asyncio
import json
import secrets
import time
from typing import Any

import httpx
import pytest

from services.topology import SERVICES, STORES
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS

API = "/api/v1"
ENGINES = ["qdrant", "chroma", "faiss"]
DOCUMENTS = [
    {"id": "cats", "text": "Cats sleep for most of the day.", "metadata": {"legs": 4}},
    {"id": "birds", "text": "Birds build nests in spring.", "metadata": {"legs": 2}},
]


async def finished(gateway: httpx.AsyncClient, user: User, task_id: str) -> dict[str, Any]:
    """Fails the test when nothing becomes of the task for long: what gets on has its time."""
    before, give_up_at = None, 0.0
    while True:
        task = (await gateway.get(f"{API}/tasks/status/{task_id}", headers=user.headers)).json()
        if task["status"] not in ("queued", "running"):
            return dict(task)
        if (now := (task["status"], task["attempt"], task["progress"])) != before:
            before, give_up_at = now, time.monotonic() + PATIENCE_SECONDS
        assert time.monotonic() < give_up_at, task
        await asyncio.sleep(0.1)


async def ingest(gateway: httpx.AsyncClient, user: User, collection: str, engine: str) -> dict[str, Any]:
    body = {"kind": "vectors.ingest", "input": {"collection": collection, "engine": engine, "documents": DOCUMENTS}}
    submitted = await gateway.post(f"{API}/tasks/submit", json=body, headers=user.headers)
    assert submitted.status_code == 202, submitted.text
    return await finished(gateway, user, submitted.json()["id"])


async def test_the_health_page_knows_all_fourteen(gateway: httpx.AsyncClient) -> None:
    """Whole once the machine has a moment for it: a store that is busy with other tests may miss one look."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while (answer := await gateway.get(f"{API}/health/check")).json()["status"] != "pass":
        assert time.monotonic() < give_up_at, answer.text
        await asyncio.sleep(0.2)

    assert answer.status_code == 200
    assert answer.json()["checks"].keys() == {*SERVICES, *STORES, "consul", "kong"}
    assert len(answer.json()["checks"]) == 14


@pytest.mark.parametrize("engine", ENGINES)
async def test_documents_are_found_on_every_engine(gateway: httpx.AsyncClient, user: User, engine: str) -> None:
    collection = f"animals-{engine}-{secrets.token_hex(4)}"

    task = await ingest(gateway, user, collection, engine)
    search = {"collection": collection, "query": "Where do birds live?", "k": 2}
    found = (await gateway.post(f"{API}/vectors/search", json=search, headers=user.headers)).json()
    narrow = search | {"filter": {"field": "legs", "op": "eq", "value": 4}}
    filtered = (await gateway.post(f"{API}/vectors/search", json=narrow, headers=user.headers)).json()

    assert (task["status"], task["progress"]["done"]) == ("succeeded", task["progress"]["total"]), task
    assert found["engine"] == engine
    assert [match["id"].split("#")[0] for match in found["results"]] == ["birds", "cats"]
    assert [match["id"].split("#")[0] for match in filtered["results"]] == ["cats"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_wrong_dimension_is_refused_naming_both(gateway: httpx.AsyncClient, user: User, engine: str) -> None:
    collection = {
        "name": f"small-{engine}-{secrets.token_hex(4)}",
        "engine": engine,
        "dimension": 3,
        "metric": "cosine",
    }
    made = await gateway.post(f"{API}/vectors/collections", json=collection, headers=user.headers)
    assert made.status_code == 201, made.text

    body = {"collection": collection["name"], "items": [{"vector": [1.0, 2.0]}]}
    refused = await gateway.post(f"{API}/vectors/store", json=body, headers=user.headers)

    assert refused.status_code == 422
    assert "2" in refused.text
    assert "3" in refused.text


async def create_agent(gateway: httpx.AsyncClient, user: User, knowledge: list[str]) -> dict[str, Any]:
    body = {"name": f"Zoo {secrets.token_hex(4)}", "instructions": "Answer from the passages.", "knowledge": knowledge}
    answer = await gateway.post(f"{API}/agents/create", json=body, headers=user.headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    found, event = [], ""
    for line in text.splitlines():
        field, _, value = line.partition(": ")
        if field == "event":
            event = value
        elif field == "data":
            found.append((event, json.loads(value)))
    return found


@pytest.mark.timeout(240)
async def test_an_answer_streams_with_citations_and_is_kept(gateway: httpx.AsyncClient, user: User) -> None:
    collection = f"animals-{secrets.token_hex(4)}"
    await ingest(gateway, user, collection, "faiss")
    agent = await create_agent(gateway, user, [collection])

    body = {"agent_id": agent["id"], "content": "What do cats do all day?", "stream": True}
    streamed = events((await gateway.post(f"{API}/chat/message", json=body, headers=user.headers)).text)

    names = [name for name, _ in streamed]
    completed = dict(streamed)["message.completed"]["message"]
    conversation = dict(streamed)["run.started"]["conversation_id"]
    path = f"{API}/chat/conversations/{conversation}/messages"
    messages = (await gateway.get(path, headers=user.headers)).json()["items"]
    assert (names[0], names[-1]) == ("run.started", "run.completed")
    assert names.count("message.delta") >= 1
    assert completed["citations"][0]["record_id"].startswith("cats")
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert messages[1]["content"] == completed["content"]


@pytest.mark.timeout(240)
async def test_a_turn_runs_in_the_background_as_the_user(gateway: httpx.AsyncClient, user: User) -> None:
    agent = await create_agent(gateway, user, [])
    body = {"kind": "agent.run", "input": {"agent_id": agent["id"], "content": "Say hello."}}

    submitted = await gateway.post(f"{API}/tasks/submit", json=body, headers=user.headers)
    task = await finished(gateway, user, submitted.json()["id"])

    assert task["status"] == "succeeded", task
    assert task["result"]["message"]["content"]


async def test_the_same_submission_twice_is_one_task(gateway: httpx.AsyncClient, user: User) -> None:
    headers = user.headers | {"Idempotency-Key": secrets.token_hex(8)}
    body = {"kind": "echo", "input": {"text": "hello"}}

    first = await gateway.post(f"{API}/tasks/submit", json=body, headers=headers)
    again = await gateway.post(f"{API}/tasks/submit", json=body, headers=headers)

    assert first.status_code == again.status_code == 202
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (first.json()["id"], "true")
    assert again.headers["location"] == first.headers["location"]
