"""vectors' app in process: its own data directory, the suite's Redis and ChromaDB."""

from collections.abc import AsyncIterator

import httpx
import pytest

from local.suite import Suite
from tests.fixtures.apps import ServiceClient, open_service
from tests.fixtures.identity import User


@pytest.fixture(scope="module")
async def client(
    suite: Suite, auth: httpx.AsyncClient, user: User, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    """As `user`, whose token is sent unless a test sends another."""
    suite.up(["redis-cache", "chromadb"])

    async def as_user(request: httpx.Request) -> None:
        request.headers.setdefault("Authorization", user.headers["Authorization"])

    async with open_service(suite)("vectors", data_dir=tmp_path_factory.mktemp("vectors")) as opened:
        opened.event_hooks = {"request": [as_user]}
        yield opened


@pytest.fixture
def open_vectors(suite: Suite, auth: httpx.AsyncClient, service_client: ServiceClient) -> ServiceClient:
    """Opens further apps, with other settings."""
    suite.up(["redis-cache", "chromadb"])
    return service_client
