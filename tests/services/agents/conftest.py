"""agents' app in process and its graph, on the suite's Neo4j."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.agents.constraints import migrate
from services.agents.graph import Graph, open_graph
from services.agents.settings import Settings
from tests.fixtures.apps import build_app, never_blocking, open_service
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.relay import Relay

AGENTS = "/api/v1/agents"
PATIENT = {
    "neo4j_retry_seconds": 15.0,
    "neo4j_wait_seconds": 60.0,
    "neo4j_pool_wait_seconds": 30.0,
    "neo4j_transaction_seconds": 60.0,
}
"""Settings for who is to be tried again more than once, however slow the machine."""
Create = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="module")
async def shared_app(suite: Suite) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["neo4j", "redis-cache"])
    async with open_service(suite, is_watched=False)("agents", **PATIENT) as client:
        yield client


@pytest.fixture
def client(shared_app: httpx.AsyncClient) -> Iterator[httpx.AsyncClient]:
    """The tests of a file share it."""
    with never_blocking():
        yield shared_app


@pytest.fixture
def create(client: httpx.AsyncClient, user: User) -> Create:
    """Creates an agent, by `user` unless `by` somebody else, and returns it."""

    async def create(name: str, *, by: User = user, **fields: Any) -> dict[str, Any]:
        body = {"name": name, "instructions": "Answer briefly."} | fields
        answer = await client.post(f"{AGENTS}/create", json=body, headers=by.headers)
        assert answer.status_code == 201, answer.text
        agent: dict[str, Any] = answer.json()
        return agent

    return create


@pytest.fixture
def settings(suite: Suite) -> Settings:
    suite.up(["neo4j"])
    settings: Settings = build_app(suite, "agents").state.settings
    return settings


@pytest.fixture
async def graph(settings: Settings) -> AsyncIterator[Graph]:
    async with open_graph(settings) as graph:
        await migrate(graph, settings.neo4j_schema_seconds)
        yield graph


@pytest.fixture
async def patient_graph(settings: Settings) -> AsyncIterator[Graph]:
    """One that tries again for as long as a busy machine takes."""
    async with open_graph(settings.model_copy(update=PATIENT)) as graph:
        await migrate(graph, settings.neo4j_schema_seconds)
        yield graph


@pytest.fixture
async def relay(suite: Suite) -> AsyncIterator[Relay]:
    """A relay before Neo4j, closed at first."""
    suite.up(["neo4j"])
    relay = Relay(suite.url("neo4j"))
    yield relay
    relay.thaw()
    await relay.close()


async def until_ready(client: httpx.AsyncClient, seconds: float = PATIENCE_SECONDS) -> None:
    """Returns when the app says it is ready."""
    async with asyncio.timeout(seconds):
        while (await client.get("/health/ready")).status_code != 200:  # noqa: ASYNC110 - the app has no event to wait for
            await asyncio.sleep(0.05)
