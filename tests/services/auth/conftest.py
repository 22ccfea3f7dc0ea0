"""auth's app in process, on the suite's PostgreSQL and Redis, and its database to look into."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from local.suite import Suite
from services.auth.entry.sessions import refreshing
from services.auth.lifespan import MIGRATIONS
from shared.postgres import Database, open_database
from tests.fixtures.apps import never_blocking, open_service
from tests.fixtures.identity import RegisterUser, admin_headers, register_with
from tests.fixtures.letters import Letters, proving
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.auth.tenancy import Join, joining


@pytest.fixture(scope="module")
async def shared_app(suite: Suite) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["postgres", "redis-cache"])
    async with open_service(suite, is_watched=False)("auth") as client:
        yield client


@pytest.fixture
def client(shared_app: httpx.AsyncClient) -> Iterator[httpx.AsyncClient]:
    """The tests of a file share it."""
    with never_blocking():
        yield shared_app


@pytest.fixture(scope="session")
async def database(suite: Suite) -> AsyncIterator[Database]:
    suite.up(["postgres"])
    async with open_database(suite.environment("auth")["DATABASE_URL"], "auth", MIGRATIONS) as database:
        yield database


@pytest.fixture
async def admin(suite: Suite, client: httpx.AsyncClient) -> dict[str, str]:
    """The headers of the administrator of the installation."""
    return await admin_headers(client, suite)


@pytest.fixture(autouse=True)
def patient_post(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that a test ends sends the letters that are under way, however many there are and whatever it takes."""
    monkeypatch.setattr("services.auth.people.letters.post._LAST_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
def patient_repetitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh token comes again in time, though the machine may have stood still for as long as it may."""
    monkeypatch.setattr(refreshing, "_SAME_ANSWER", 60 * refreshing._SAME_ANSWER)


@pytest.fixture
def letters(suite: Suite) -> Letters:
    """The letters that any auth of the suite has sent."""
    return Letters(suite.site.layout.home / "mail")


@pytest.fixture
def register_proved(client: httpx.AsyncClient, letters: Letters) -> RegisterUser:
    """Makes users who have proved their addresses, and so may act on others."""
    return proving(client, letters, register_with(client))


@pytest.fixture
def join(client: httpx.AsyncClient, letters: Letters) -> Join:
    """`await join(owner, "viewer")`: a new user of the owner's tenant, with a token of it."""
    return joining(client, letters, register_with(client))
