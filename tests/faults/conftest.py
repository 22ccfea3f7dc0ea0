"""Suites to break: one with short answers of the model, and the table that a run makes; others of a test's own."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.layout import REPOSITORY
from local.suite import Suite
from tests.faults import table
from tests.faults.faults import FAULTS
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import User
from tests.fixtures.inside import INSIDE
from tests.fixtures.places import FAULTS_PORT_BASE
from tests.fixtures.settings import told


@pytest.fixture(scope="module")
async def brief(suite: Suite, gateway: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The gateway of a suite whose model says little: what is measured is everything around it."""
    with told(suite, ANSWER_TOKENS="8"):
        suite.up()
        yield gateway


@pytest.fixture(scope="module")
def record(request: pytest.FixtureRequest) -> Iterator[Callable[[table.Row], None]]:
    """Keeps the row of a fault: in the table printed at the end, and on the page where `FAULTS_TABLE` is set."""
    found: list[str] = []

    def keep(row: table.Row) -> None:
        found.append(row.line())
        if os.environ.get("FAULTS_TABLE"):
            table.write(REPOSITORY / "docs" / "operations.md", row, [fault.name for fault in FAULTS])

    yield keep
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and found:
        reporter.write_line("\n" + table.render(found))


AsUser = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
FREELY = {f"rate_limit_{name}": "1000000/minute" for name in ("read", "write", "model", "bulk")}


@pytest.fixture
def own_suite(tmp_path: Path) -> Iterator[Suite]:
    """Empty at first, and gone at the end."""
    kept = {name: os.environ[name] for name in ("PATH", "SUTAZAI_CACHE") if name in os.environ}
    suite = Suite(tmp_path / "own", FAULTS_PORT_BASE, kept | INSIDE)
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
