"""What a process of the suite is given: all it needs, and no secret of another."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from local import addresses, settings
from local.errors import LocalError
from local.layout import LONGEST_SOCKET_PATH, REPOSITORY, Layout
from local.suite import Suite
from services.topology import CLIENTS, SERVICES
from tests.local.conftest import PORT_BASE, MakeSuite

PROCESSES = [*SERVICES, "tasks-worker", "faiss", "portal", "gateway"]
OWNERS = {
    "API_KEY_PEPPER": {"auth"},
    "KEY_ENCRYPTION_KEY": {"auth"},
    "SECRET_ENCRYPTION_KEY": {"agents", "tasks", "tasks-worker"},
    "ADMIN_PASSWORD": {"auth"},
    "SERVICE_CLIENT_SECRETS": {"auth"},
    "DATABASE_URL": {"auth", "tasks", "tasks-worker"},
    "NEO4J_PASSWORD": {"agents"},
    "CURSOR_SECRET": set(PROCESSES) - {"gateway"},
    "CLIENT_SECRET": {*CLIENTS, "tasks-worker", "faiss"},
    "AUDIT_KEY": {"auth"},
    "CONSUL_TOKEN": set(PROCESSES),
    "CONSUL_MANAGEMENT": set(),
    "GATEWAY_TOKEN": {*SERVICES, "gateway"},
    "TLS_KEY_FILE": set(PROCESSES) - {"gateway"},
    "TLS_AUTHORITY_FILE": set(PROCESSES),
    "REDIS_CACHE_URL": {"chat"},
}


@pytest.mark.parametrize("variable", OWNERS)
def test_secret_goes_to_those_who_need_it(suite: Suite, variable: str) -> None:
    assert {name for name in PROCESSES if variable in suite.environment(name)} == OWNERS[variable]


def test_only_chat_is_told_where_conversations_are(suite: Suite) -> None:
    told = {name for name in PROCESSES if suite.url("redis") in suite.environment(name).values()}
    others = {suite.environment(name)["REDIS_URL"] for name in set(PROCESSES) - {"chat", "gateway"}}

    assert told == {"chat"}
    assert others == {suite.environment("chat")["REDIS_CACHE_URL"]} == {suite.url("redis-cache")}


def test_auth_knows_the_client_secret_of_every_service(suite: Suite) -> None:
    known = json.loads(suite.environment("auth")["SERVICE_CLIENT_SECRETS"])

    assert known["chat"] == suite.environment("chat")["CLIENT_SECRET"]
    assert known["tasks"] == suite.environment("tasks-worker")["CLIENT_SECRET"]


def test_each_process_is_known_to_consul_by_a_token_of_its_own(suite: Suite) -> None:
    tokens = {suite.environment(name)["CONSUL_TOKEN"] for name in PROCESSES}

    assert len(tokens) == len(PROCESSES)
    assert suite.secrets.consul_management not in tokens


def test_a_consul_of_the_callers_is_asked_with_the_callers_token(make_suite: MakeSuite) -> None:
    suite = make_suite(CONSUL_URL="http://consul.example:8500", CONSUL_TOKEN="theirs")
    without = make_suite(CONSUL_URL="http://consul.example:8500")

    assert {suite.environment(name)["CONSUL_TOKEN"] for name in PROCESSES} == {"theirs"}
    assert [name for name in PROCESSES if "CONSUL_TOKEN" in without.environment(name)] == []


def test_a_gateway_of_the_callers_may_have_the_callers_token(make_suite: MakeSuite) -> None:
    theirs = make_suite(GATEWAY_TOKEN="t" * 40)

    assert theirs.environment("auth")["GATEWAY_TOKEN"] == theirs.environment("gateway")["GATEWAY_TOKEN"] == "t" * 40
    assert "GATEWAY_TOKEN" not in make_suite(GATEWAY_TOKEN_FILE="/run/token").environment("auth")


def test_each_process_has_a_certificate_of_its_own(suite: Suite) -> None:
    shown = {name: suite.environment(name) for name in PROCESSES if name != "gateway"}

    assert [Path(one["TLS_KEY_FILE"]).name for one in shown.values()] == [f"tls_{name}" for name in shown]
    assert all(one["TLS_CERTIFICATE_FILE"] == one["TLS_KEY_FILE"] for one in shown.values())


def test_tls_inside_is_left_out_when_it_is_switched_off(make_suite: MakeSuite) -> None:
    suite = make_suite(SUTAZAI_INSIDE_TLS="off")

    assert not [name for process in PROCESSES for name in suite.environment(process) if name.startswith("TLS_")]
    assert set(json.loads(suite.environment("chat")["STATIC_SERVICES"]).values()) >= {suite.url("auth")}
    assert suite.url("auth") == f"http://127.0.0.1:{PORT_BASE + 1}"


def test_half_a_word_about_tls_is_refused(make_suite: MakeSuite) -> None:
    with pytest.raises(LocalError, match="SUTAZAI_INSIDE_TLS is on or off, not 'no'"):
        make_suite(SUTAZAI_INSIDE_TLS="no").environment("chat")


def test_callers_environment_does_not_leak_in(make_suite: MakeSuite) -> None:
    environment = make_suite(SOMEONES_TOKEN="t0p", LOG_LEVEL="DEBUG").environment("chat")

    assert "SOMEONES_TOKEN" not in environment
    assert environment["LOG_LEVEL"] == "DEBUG"


@pytest.mark.parametrize(
    ("name", "value", "readers"),
    [
        ("PASSWORD_WORKERS", "4", {"auth"}),
        ("RUN_SECONDS", "60", {"chat"}),
        ("HIGH_SLOTS", "20", {"tasks-worker"}),
        ("MAX_INPUT_BYTES", "2048", {"tasks", "tasks-worker"}),
        ("LLM_API_KEY_FILE", "/run/key", {"chat"}),
        ("SHUTDOWN_SECONDS", "5", set(PROCESSES) - {"gateway"}),
        ("AUTH_ISSUER", "https://api.example.com/api/v1/auth", set(PROCESSES) - {"gateway"}),
        ("KONG_TRUSTED_IPS", "10.0.0.0/8", {"gateway"}),
    ],
)
def test_a_setting_reaches_those_who_read_it(make_suite: MakeSuite, name: str, value: str, readers: set[str]) -> None:
    suite = make_suite(**{name: value})

    assert {process for process in PROCESSES if suite.environment(process).get(name) == value} == readers


def test_every_documented_setting_reaches_a_process_or_is_the_suites_own(make_suite: MakeSuite) -> None:
    """Of the page that operators read, so that no list here has to be kept."""
    page = (REPOSITORY / "docs" / "configuration.md").read_text()
    elsewhere = {*addresses.SETTINGS.values(), "KONG_ADMIN_URL"}  # what stands there instead of a component
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)) - elsewhere
    plain, asked = make_suite(), make_suite(**dict.fromkeys(documented, "asked-for"))
    own = {name for process in PROCESSES for name in plain.environment(process)}

    reached = {
        name for process in PROCESSES for name, value in asked.environment(process).items() if value == "asked-for"
    }

    assert documented - reached <= own | settings.ONE_FOR_EACH
    assert not reached & settings.ONE_FOR_EACH


def test_a_variable_that_nothing_reads_is_named() -> None:
    environ = {"SUTAZAI_PORTBASE": "1", "SUTAZAI_COLOUR": "red", "SUTAZAI_HOME": "/x", "SUTAZAI_URL": "http://y"}

    assert list(settings.unknown(environ)) == [
        "SUTAZAI_COLOUR is read by nothing",
        "SUTAZAI_PORTBASE is read by nothing: is SUTAZAI_PORT_BASE meant?",
    ]


def test_the_known_variables_are_those_of_the_project() -> None:
    """A variable that some file here reads is not called unknown."""
    files = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    texts = [(REPOSITORY / name).read_text(errors="ignore") for name in files.split() if "test_environment" not in name]
    read = {name for text in texts for name in re.findall(r"\bSUTAZAI_[A-Z]+(?:_[A-Z]+)*\b", text)}

    assert list(settings.unknown(dict.fromkeys(read, "x"))) == []


def test_without_consul_services_are_found_at_fixed_addresses(make_suite: MakeSuite, tmp_path: Path) -> None:
    suite = make_suite(PATH="/nowhere", SUTAZAI_CACHE=str(tmp_path / "empty"))

    environment = suite.environment("chat")

    assert environment["DISCOVERY"] == "static"
    assert "CONSUL_URL" not in environment
    assert json.loads(environment["STATIC_SERVICES"])["agents"] == f"https://127.0.0.1:{PORT_BASE + 2}"


def test_secrets_are_generated_once(make_suite: MakeSuite) -> None:
    assert make_suite().secrets == make_suite().secrets


def test_socket_of_a_deep_home_stays_short(tmp_path: Path) -> None:
    deep = Layout(tmp_path / ("d" * 120), tmp_path)

    assert len(bytes(deep.socket)) <= LONGEST_SOCKET_PATH
    assert deep.socket == Layout(tmp_path / ("d" * 120), tmp_path).socket
