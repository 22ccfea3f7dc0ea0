"""chat's real app on a port of its own with the suite's Redis and auth, beside servers that a test can break."""

from collections.abc import AsyncIterator

import httpx
import pytest

from local.suite import Suite
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.patience import patient_connections
from tests.services.chat.client import OpenChat
from tests.services.chat.opening import chat_beside
from tests.services.chat.processes import StartProcess, process_beside
from tests.services.chat.servers import ModelServer, Neighbours

PASSAGES = [
    {"id": "r1", "score": 0.9, "text": "The warranty of the Falcon lasts 27 months.", "metadata": {}},
    {"id": "r2", "score": 0.4, "text": "The Falcon weighs 800 grams.", "metadata": {}},
]


@pytest.fixture(autouse=True)
def patient_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    patient_connections(monkeypatch)


@pytest.fixture
def model() -> ModelServer:
    return ModelServer()


@pytest.fixture
def neighbours() -> Neighbours:
    return Neighbours()


@pytest.fixture
def agent_id(neighbours: Neighbours) -> str:
    """An agent that knows the collection `handbook`."""
    agent_id = new_id()
    neighbours.agents[agent_id] = {
        "id": agent_id,
        "name": "support",
        "version": 1,
        "instructions": "Answer in one sentence.",
        "model": None,
        "knowledge": ["handbook"],
    }
    neighbours.collections["handbook"] = list(PASSAGES)
    return agent_id


@pytest.fixture
async def person(register_user: RegisterUser) -> User:
    """A user without any conversation yet."""
    return await register_user()


@pytest.fixture
def open_chat(suite: Suite, auth: httpx.AsyncClient, model: ModelServer, neighbours: Neighbours) -> OpenChat:
    """`async with open_chat(max_runs=1) as client`: one replica, beside this test's model and neighbours."""
    suite.up(["redis", "redis-cache"])
    return chat_beside(suite, auth, model, neighbours)


@pytest.fixture
async def chat(open_chat: OpenChat, person: User) -> AsyncIterator[httpx.AsyncClient]:
    """One replica, asked by `person`."""
    async with open_chat() as client:
        client.headers.update(person.headers)
        yield client


@pytest.fixture
def start_process(
    suite: Suite, auth: httpx.AsyncClient, model: ModelServer, neighbours: Neighbours, person: User
) -> StartProcess:
    """`async with start_process(SHUTDOWN_SECONDS="2") as (process, client)`."""
    suite.up(["redis", "redis-cache"])
    return process_beside(suite, auth, model, neighbours, person)
