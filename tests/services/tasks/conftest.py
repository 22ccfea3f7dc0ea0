"""Fixtures of the tasks service: the API and workers, on the suite's real stores."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from fastapi import FastAPI

from local.suite import Suite
from shared.postgres import Database
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.letters import Letters
from tests.services.auth.tenancy import Join, joining
from tests.services.tasks.hooking import DELIVERING, LOOPBACK, Receiver, Webhooks, receiving
from tests.services.tasks.running import Installation, Tasks


@pytest.fixture(scope="session")
def new_installation(suite: Suite) -> Callable[[], Installation]:
    """Makes installations that no other test touches."""
    suite.up(["postgres", "rabbitmq", "redis-cache"])
    return lambda: Installation(suite)


@pytest.fixture(scope="session")
def installation(new_installation: Callable[[], Installation]) -> Installation:
    """The one that most tests share."""
    return new_installation()


@pytest.fixture(scope="session")
async def api(installation: Installation, user: User) -> AsyncIterator[httpx.AsyncClient]:
    async with installation.api() as client:
        yield client


@pytest.fixture(scope="session")
def tasks(api: httpx.AsyncClient, user: User) -> Tasks:
    return Tasks(api, user)


@pytest.fixture
async def worker(installation: Installation) -> AsyncIterator[FastAPI]:
    async with installation.worker() as app:
        yield app


@pytest.fixture
async def database(installation: Installation, api: httpx.AsyncClient) -> AsyncIterator[Database]:
    async with installation.database() as opened:
        yield opened


@pytest.fixture(scope="session")
def hooked(new_installation: Callable[[], Installation]) -> Installation:
    """One whose webhooks may go to this machine."""
    return new_installation()


@pytest.fixture(scope="session")
async def hooks_api(hooked: Installation) -> AsyncIterator[httpx.AsyncClient]:
    async with hooked.api(**LOOPBACK) as client:
        yield client


@pytest.fixture
async def hooks_database(hooked: Installation, hooks_api: httpx.AsyncClient) -> AsyncIterator[Database]:
    async with hooked.database() as opened:
        yield opened


@pytest.fixture
async def hooks(hooks_api: httpx.AsyncClient, register_user: RegisterUser) -> Webhooks:
    """Those of a user of a new tenant."""
    return Webhooks(hooks_api, await register_user())


@pytest.fixture
def hooked_tasks(hooks: Webhooks) -> Tasks:
    """The same user's tasks."""
    return Tasks(hooks.client, hooks.user)


@pytest.fixture
def join(suite: Suite, auth: httpx.AsyncClient, register_user: RegisterUser) -> Join:
    """Brings colleagues."""
    return joining(auth, Letters(suite.site.layout.home / "mail"), register_user)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def delivering(hooked: Installation) -> AsyncIterator[None]:
    """A worker that does not wait for long."""
    async with hooked.worker(**DELIVERING):
        yield
