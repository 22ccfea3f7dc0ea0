"""What a process of the suite is given: all it needs, and no secret of another."""

import json
from pathlib import Path

import pytest

from local.layout import LONGEST_SOCKET_PATH, Layout
from local.suite import Suite
from services.topology import CLIENTS, SERVICES
from tests.local.conftest import PORT_BASE, MakeSuite

PROCESSES = [*SERVICES, "tasks-worker", "portal", "gateway"]
OWNERS = {
    "API_KEY_PEPPER": {"auth"},
    "KEY_ENCRYPTION_KEY": {"auth"},
    "ADMIN_PASSWORD": {"auth"},
    "SERVICE_CLIENT_SECRETS": {"auth"},
    "DATABASE_URL": {"auth", "tasks", "tasks-worker"},
    "NEO4J_PASSWORD": {"agents"},
    "CURSOR_SECRET": set(PROCESSES) - {"gateway"},
    "CLIENT_SECRET": {*CLIENTS, "tasks-worker"},
    "AUDIT_KEY": {"auth"},
}


@pytest.mark.parametrize("variable", OWNERS)
def test_secret_goes_to_those_who_need_it(suite: Suite, variable: str) -> None:
    assert {name for name in PROCESSES if variable in suite.environment(name)} == OWNERS[variable]


def test_auth_knows_the_client_secret_of_every_service(suite: Suite) -> None:
    known = json.loads(suite.environment("auth")["SERVICE_CLIENT_SECRETS"])

    assert known["chat"] == suite.environment("chat")["CLIENT_SECRET"]
    assert known["tasks"] == suite.environment("tasks-worker")["CLIENT_SECRET"]


def test_callers_environment_does_not_leak_in(make_suite: MakeSuite) -> None:
    environment = make_suite(SOMEONES_TOKEN="t0p", LOG_LEVEL="DEBUG").environment("chat")

    assert "SOMEONES_TOKEN" not in environment
    assert environment["LOG_LEVEL"] == "DEBUG"


def test_without_consul_services_are_found_at_fixed_addresses(make_suite: MakeSuite, tmp_path: Path) -> None:
    suite = make_suite(PATH="/nowhere", SUTAZAI_CACHE=str(tmp_path / "empty"))

    environment = suite.environment("chat")

    assert environment["DISCOVERY"] == "static"
    assert "CONSUL_URL" not in environment
    assert json.loads(environment["STATIC_SERVICES"])["agents"] == f"http://127.0.0.1:{PORT_BASE + 2}"


def test_secrets_are_generated_once(make_suite: MakeSuite) -> None:
    assert make_suite().secrets == make_suite().secrets


def test_socket_of_a_deep_home_stays_short(tmp_path: Path) -> None:
    deep = Layout(tmp_path / ("d" * 120), tmp_path)

    assert len(bytes(deep.socket)) <= LONGEST_SOCKET_PATH
    assert deep.socket == Layout(tmp_path / ("d" * 120), tmp_path).socket
