"""Fixtures for every test: the real suite on ports and data of its own, users from the real auth, apps in process.

A run takes up to three processes (`tests/fixtures/sharing.py`), each with a suite of its own.
`SUTAZAI_TEST_PORT_BASE` and `SUTAZAI_TEST_HOME` move all of them, so that two runs can go on beside each other.
`SUTAZAI_TEST_STORES=environment` has the tests use the stores whose addresses are in the environment.
"""

import gc
import os
import shutil
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from hypothesis import HealthCheck, settings

from local.suite import Suite
from tests.fixtures import attacks, making
from tests.fixtures.apps import ServiceClient, open_service
from tests.fixtures.given_gateway import GIVEN, address_of, wait_for_the_suite
from tests.fixtures.http import authorities
from tests.fixtures.identity import RegisterUser, User, register_with
from tests.fixtures.inside import INSIDE, client_of
from tests.fixtures.letters import Letters, proving
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.places import RUN_HOME, TEST_HOME, TEST_PORT_BASE
from tests.fixtures.sharing import Rooms, processes_for, room_of
from tests.fixtures.standing import StandingSuite
from tests.fixtures.stores import given_stores
from tests.fixtures.warm import Warm, cool
from tests.fixtures.warm import warm as warm_here

# No DATABASE_URL and the like, unless `given_stores` is asked for them.
# Everybody here comes from one address, more often a minute than strangers of one address should; and so many people
# are made that their passwords took a fifth of the time. One key asks for all that a document has, bulk too. What is
# said of any of them is tested with the real figures. And nobody reads what the model says beyond its first words.
SPARING = {
    "RATE_LIMIT_ANONYMOUS": "60000/minute",
    "RATE_LIMIT_BULK": "60000/minute",
    "PASSWORD_MEMORY_KIB": "64",
    "PASSWORD_ITERATIONS": "1",
    "ANSWER_TOKENS": "32",
}
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "SUTAZAI_CACHE", "TMPDIR")

# How long an example takes, or making it, tells how busy the machine is.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(making)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """None but this process for the tests of one room, which would all run in one anyway, and on given stores."""
    if given_stores(os.environ):
        return 0
    given = [os.path.relpath(config.invocation_params.dir / argument, config.rootpath) for argument in config.args]
    return processes_for(given)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Rooms:
    return Rooms(config, log)


def pytest_sessionstart() -> None:
    gc.disable()  # what collecting makes stays for the whole run: looking through it again and again finds nothing


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    """Whoever interrupts a run interrupts what its processes do at their end."""
    cool()
    if exitstatus == pytest.ExitCode.INTERRUPTED and "PYTEST_XDIST_WORKER" not in os.environ:
        for home in RUN_HOME.glob("gw*"):
            Suite(home, environ={}).down()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Here, because the process that prints it loads no room's conftest when others run the tests."""
    if line := attacks.summary(terminalreporter.stats):
        terminalreporter.section("attacks")
        terminalreporter.line(line)
    if rows := attacks.rows(terminalreporter.stats):
        terminalreporter.section("beside an attack")
        for row in rows:
            terminalreporter.line(row)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Room by room, in the order in which they are to begin; what stands in for the services before they are there."""
    items.sort(key=lambda item: (bool(GIVEN) and "tests/gateway/" not in item.nodeid, room_of(item.nodeid)))


@pytest.fixture(scope="session")
def suite() -> Iterator[Suite]:
    """The suite, empty at first; `suite.up([...])` starts what a test needs, and what runs stays up for the next."""
    environ = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ} | given_stores(os.environ)
    if TEST_HOME.exists():  # an interrupted run may have left processes, and data of an older shape
        Suite(TEST_HOME, TEST_PORT_BASE, environ).down()
        shutil.rmtree(TEST_HOME)
    suite = StandingSuite(TEST_HOME, TEST_PORT_BASE, environ | SPARING | INSIDE)
    yield suite
    suite.kill_all()  # an orderly end takes its stores ten seconds, and nobody reads their data again


@pytest.fixture(scope="session")
def warm() -> Warm:
    """Runs programs of ours that end by themselves."""
    return warm_here()


@pytest.fixture(scope="session")
async def auth(suite: Suite) -> AsyncIterator[httpx.AsyncClient]:
    """The real auth service."""
    suite.up(["auth"])
    async with client_of(suite, "auth") as client:
        yield client


@pytest.fixture(scope="session")
def register_user(suite: Suite, auth: httpx.AsyncClient) -> RegisterUser:
    """Makes users, each in a tenant of their own, who have proved their addresses."""
    return proving(auth, Letters(suite.site.layout.home / "mail"), register_with(auth))


@pytest.fixture(scope="session")
async def user(register_user: RegisterUser) -> User:
    """Somebody. Shared by all tests: make one with `register_user` where others' records would disturb."""
    return await register_user()


@pytest.fixture(scope="session")
async def other_user(register_user: RegisterUser) -> User:
    """Somebody of another tenant."""
    return await register_user()


@pytest.fixture(autouse=True)
def tokens_that_last(request: pytest.FixtureRequest) -> None:
    """Whom tests share is logged in anew from time to time."""
    for name in {"user", "other_user"}.intersection(request.fixturenames):
        request.getfixturevalue(name).renew(request.getfixturevalue("suite"))


@pytest.fixture
def service_client(suite: Suite) -> ServiceClient:
    """`async with service_client("agents", neo4j_url="bolt://…") as client`: that service's app, in process."""
    return open_service(suite)


@pytest.fixture(scope="session")
async def gateway(suite: Suite) -> AsyncIterator[httpx.AsyncClient]:
    """The whole suite, through its one public address, or through the gateway that is given."""
    suite.up()
    if GIVEN:
        wait_for_the_suite(suite)
    async with httpx.AsyncClient(base_url=address_of(suite), timeout=60, verify=authorities()) as client:
        yield client


@pytest.fixture
def patient_publishing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker confirms however long the machine takes; else a message is sent again after five seconds."""
    monkeypatch.setattr("shared.messages.publishing._PUBLISH_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
def patient_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is counted however long the machine takes; else it passes uncounted after a quarter of a second."""
    monkeypatch.setattr("shared.limits.permits._WAITS", 400)


@pytest.fixture
def patient_discovery(monkeypatch: pytest.MonkeyPatch) -> None:
    """Consul's first answer is waited for however long the machine takes; else nobody is known after two seconds."""
    monkeypatch.setattr("shared.discovery.following._FIRST_ANSWER_SECONDS", PATIENCE_SECONDS)
