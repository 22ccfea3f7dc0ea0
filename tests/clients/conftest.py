"""Clients as others publish them, unmodified, pointed at the gateway with an API key."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import httpx
import openai
import pytest

from local.suite import Suite
from tests.clients import obliging
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.settings import told
from tests.services.chat.servers import serving

FACT = "The warranty of the Falcon lasts 27 months."
SCOPES = ["agents:read", "agents:write", "chat:read", "chat:write", "vectors:read", "vectors:write"]


@pytest.fixture(scope="module")
async def owner(register_user: RegisterUser) -> User:
    """Whoever the key of `client` stands for."""
    return await register_user()


@pytest.fixture(scope="module")
async def api_key(gateway: httpx.AsyncClient, owner: User) -> str:
    made = await gateway.post("/api/v1/auth/api-keys", json={"name": "openai", "scopes": SCOPES}, headers=owner.headers)
    return str(made.raise_for_status().json()["key"])


@pytest.fixture(scope="module")
def base_url(gateway: httpx.AsyncClient) -> str:
    return f"{gateway.base_url}/api/v1"


@pytest.fixture(scope="module")
async def client(base_url: str, api_key: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's own, which tries nothing twice, so that a test sees the first answer."""
    async with openai.AsyncOpenAI(base_url=base_url, api_key=api_key, max_retries=0, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
async def knowing(gateway: httpx.AsyncClient, owner: User) -> str:
    """The name of an agent that knows one fact."""
    name, collection = f"falcon {secrets.token_hex(4)}", f"falcon-{secrets.token_hex(4)}"
    stored = {"collection": collection, "items": [{"id": "warranty", "text": FACT}]}
    (await gateway.post("/api/v1/vectors/store", json=stored, headers=owner.headers)).raise_for_status()
    made = {"name": name, "instructions": "Answer in one sentence.", "knowledge": [collection]}
    (await gateway.post("/api/v1/agents/create", json=made, headers=owner.headers)).raise_for_status()
    return name


@pytest.fixture(scope="module")
async def obliged(suite: Suite, gateway: httpx.AsyncClient) -> AsyncIterator[None]:
    """The suite, with a model that does as it is told."""
    async with serving(obliging.obliging) as address:
        with told(suite, LLM_URL=f"{address}/v1", LLM_MODEL=obliging.NAME):
            await asyncio.to_thread(suite.up)
            yield
    await asyncio.to_thread(suite.up)
