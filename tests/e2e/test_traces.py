"""One trace from the gateway to the models, over services, broker and worker, as a real collector is sent it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from local.suite import Suite
from shared.telemetry import conventions
from tests.e2e.test_journey import finished
from tests.fixtures.collector import Collector, Recorded, collector
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.settings import told

API = "/api/v1"
CANARY = f"canary{secrets.token_hex(8)}"
"""Stands in everything that people write and name here."""
DOCUMENT = {"id": f"{CANARY}-1", "text": f"The {CANARY} builds its nest in spring.", "metadata": {CANARY: CANARY}}
EMBEDDINGS = "vectors: embeddings multilingual-e5-small"
SUBMITTED = ("gateway: POST tasks-submit", "tasks: POST /api/v1/tasks/submit")
HEARD = (*SUBMITTED, "tasks: publish tasks", "tasks-worker: process tasks.normal")
RUN = (*HEARD, "tasks-worker: task agent.run")
TURN = (*RUN, "tasks-worker: POST chat", "chat: POST /api/v1/chat/message")
SEARCH = (*TURN, "chat: POST vectors", "vectors: POST /api/v1/vectors/search")
INGEST = (*HEARD, "tasks-worker: task vectors.ingest")
DELEGATE = (*INGEST, "tasks-worker: POST auth", "auth: POST /internal/tokens/delegate")  # the first task asks for it
OF_AN_INGEST: set[tuple[str, ...]] = {
    (*DELEGATE, "auth: SELECT user_account"),
    (*DELEGATE, "auth: INSERT audit_entry"),
    (*INGEST, "tasks-worker: POST vectors", "vectors: POST /api/v1/vectors/store", EMBEDDINGS),
}
OF_A_RUN: set[tuple[str, ...]] = {
    (*SUBMITTED, "tasks: INSERT task"),
    (*HEARD, "tasks-worker: UPDATE task"),
    (*TURN, "chat: GET agents", "agents: GET /api/v1/agents/{id}", "agents: READ neo4j"),
    (*SEARCH, EMBEDDINGS),
    (*TURN, "chat: EVALSHA"),
    (*TURN, "chat: PIPELINE"),
    (*TURN, "chat: chat smollm2-135m-instruct"),
}


@pytest.fixture(scope="module")
def traces() -> Iterator[Collector]:
    with collector() as found:
        yield found


@pytest.fixture(scope="module")
async def traced(suite: Suite, gateway: httpx.AsyncClient, traces: Collector) -> AsyncIterator[httpx.AsyncClient]:
    """The gateway of a suite that records every trace."""
    with told(suite, OTEL_EXPORTER_OTLP_ENDPOINT=traces.url, OTEL_TRACES_SAMPLE_RATIO="1"):
        await asyncio.to_thread(suite.up)
        yield gateway


async def done(gateway: httpx.AsyncClient, user: User, kind: str, given: dict[str, Any]) -> str:
    """The trace of a task that has succeeded."""
    submitted = await gateway.post(f"{API}/tasks/submit", json={"kind": kind, "input": given}, headers=user.headers)
    assert submitted.status_code == 202, submitted.text
    task = await finished(gateway, user, submitted.json()["id"])
    assert task["status"] == "succeeded", task
    return submitted.headers["x-trace-id"]


def one(spans: list[Recorded], name: str) -> Recorded:
    return next(span for span in spans if span.name == name)


@pytest.mark.timeout(300)
async def test_a_task_is_one_trace_down_to_the_models(
    traced: httpx.AsyncClient, traces: Collector, register_user: RegisterUser
) -> None:
    user = await register_user()  # whose first delegation is written into the audit: what is repeated is counted
    written = {"collection": CANARY, "engine": "faiss", "documents": [DOCUMENT]}
    ingest = await done(traced, user, "vectors.ingest", written)
    body = {"name": CANARY, "instructions": f"Speak of {CANARY}.", "knowledge": [CANARY]}
    agent = (await traced.post(f"{API}/agents/create", json=body, headers=user.headers)).json()
    asked = f"Where does the {CANARY} live?"
    run = await done(traced, user, "agent.run", {"agent_id": agent["id"], "content": asked})

    await traces.has(OF_AN_INGEST, ingest)
    spans = await traces.has(OF_A_RUN, run)
    for trace in (ingest, run):
        await traces.is_whole(SUBMITTED[0], trace)

    assert {span.schema_url for span in spans if span.service != "gateway"} == {conventions.SCHEMA_URL}
    chat = one(spans, "chat smollm2-135m-instruct")
    assert (chat.kind, chat.attributes[conventions.GEN_AI_OPERATION]) == ("client", "chat")
    assert chat.attributes[conventions.GEN_AI_INPUT_TOKENS] > 10
    assert chat.attributes[conventions.GEN_AI_OUTPUT_TOKENS] > 0
    assert one(spans, "publish tasks").kind == "producer"
    assert one(spans, "process tasks.normal").kind == "consumer"
    assert one(spans, "UPDATE task").attributes[conventions.DB_SYSTEM] == "postgresql"


@pytest.mark.timeout(120)
async def test_nothing_that_anybody_wrote_or_keeps_secret_is_in_a_span(
    suite: Suite, traced: httpx.AsyncClient, traces: Collector, user: User
) -> None:
    """After what the test before has done, and what is refused and wrong."""
    made = await traced.post(
        f"{API}/auth/api-keys", json={"name": CANARY, "scopes": ["vectors:read"]}, headers=user.headers
    )
    key = made.json()["key"]
    search = {"collection": CANARY, "query": CANARY, "k": 1}
    await traced.post(f"{API}/vectors/search", json=search, headers={"X-API-Key": key})
    await traced.get(f"{API}/chat/conversations", params={"q": CANARY}, headers=user.headers)
    await traced.get(f"{API}/vectors/collections/{CANARY}", headers=user.headers)
    wrong = {"grant_type": "password", "username": f"{CANARY}@example.com", "password": CANARY}
    await traced.post(f"{API}/auth/token", data=wrong)
    last = await traced.get(f"{API}/agents/{CANARY}", headers=user.headers | {"User-Agent": "checker"})
    await traces.has({("gateway: GET agents-one", "agents: GET /api/v1/agents/{id}")}, last.headers["x-trace-id"])

    hidden = {CANARY, key, key.rsplit("_", 1)[-1], user.headers["Authorization"].split()[1], user.email}
    hidden |= {str(secret) for secret in vars(suite.site.secrets).values() if isinstance(secret, str)}
    hidden |= set(suite.site.secrets.client_secrets.values())
    sent = b"\n".join(traces.bodies)
    assert [text for text in hidden if text.encode() in sent] == []
    assert len(traces.spans) > 100
