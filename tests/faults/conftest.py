"""Suites of their own for tests that break what others share."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.suite import Suite
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import User
from tests.fixtures.places import FAULTS_PORT_BASE

AsUser = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
FREELY = {f"rate_limit_{name}": "1000000/minute" for name in ("read", "write", "model", "bulk")}


@pytest.fixture
def own_suite(tmp_path: Path) -> Iterator[Suite]:
    """Empty at first, and gone at the end."""
    kept = {name: os.environ[name] for name in ("PATH", "SUTAZAI_CACHE") if name in os.environ}
    suite = Suite(tmp_path / "own", FAULTS_PORT_BASE, kept)
    yield suite
    suite.down()


@pytest.fixture
def as_user(suite: Suite, auth: httpx.AsyncClient, user: User, service_client: ServiceClient) -> AsUser:
    """`async with as_user("agents", neo4j_url=…) as client`: that service without limits, asked by `user`."""

    @asynccontextmanager
    async def opened(name: str, **overrides: Any) -> AsyncIterator[httpx.AsyncClient]:
        async with service_client(name, **(FREELY | overrides)) as client:
            client.headers.update(user.headers)
            yield client

    return opened
