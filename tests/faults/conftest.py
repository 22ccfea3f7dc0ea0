"""The suite under faults: short answers of the model, and the table that a run of them makes."""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import httpx
import pytest

from local.layout import REPOSITORY
from local.suite import Suite
from tests.faults import table


@pytest.fixture(scope="module")
async def brief(suite: Suite, gateway: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The gateway of a suite whose model says little: what is measured is everything around it."""
    usual = suite.site
    suite.site = replace(usual, environ={**usual.environ, "ANSWER_TOKENS": "8"})
    suite.up()
    yield gateway
    suite.site = usual


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest) -> Iterator[list[table.Row]]:
    """A row for each fault; printed when the last has struck, and written where `FAULTS_TABLE` says so."""
    found: list[table.Row] = []
    yield found
    if found:
        reporter = request.config.pluginmanager.get_plugin("terminalreporter")
        if reporter:
            reporter.write_line("\n" + table.render(found))
        if os.environ.get("FAULTS_TABLE"):
            table.write(REPOSITORY / "docs" / "operations.md", found)


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
