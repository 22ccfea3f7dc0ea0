"""auth's app in process, on the suite's PostgreSQL and Redis."""

from collections.abc import AsyncIterator

import httpx
import pytest

from local.suite import Suite
from tests.fixtures.apps import ServiceClient


@pytest.fixture
async def client(suite: Suite, service_client: ServiceClient) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["postgres", "redis"])
    async with service_client("auth") as client:
        yield client
