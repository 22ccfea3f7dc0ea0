"""`make gateway-sync`: a Kong is given the file after it was checked and shown, or is left as it is."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from gateway.envoy.kong import parsed
from gateway.sync.__main__ import main
from tests.fixtures.ports import free_port
from tests.gateway.kong_admin import OURS, Kong, served
from tests.gateway.running import edited

Sync = Callable[..., str]


@pytest.fixture
def kong() -> Iterator[Kong]:
    with served(Kong()) as running:
        yield running


@pytest.fixture
def sync(kong: Kong, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sync:
    """Runs the command; what it said, and why it refused."""
    monkeypatch.setenv("KONG_ADMIN_URL", kong.url)

    def run(*arguments: str, file: Path | None = None) -> str:
        if file:
            monkeypatch.setenv("KONG_CONFIG", str(file))
        refusal = ""
        try:
            main(list(arguments))
        except SystemExit as ended:
            refusal = str(ended.code)
        return capsys.readouterr().out + refusal

    return run


def test_an_empty_kong_is_given_the_file_and_shown_it_before(kong: Kong, sync: Sync) -> None:
    said = sync()

    assert kong.loaded == [OURS]
    assert {"+ service auth", "+ route auth-me", "+ plugin cors"} < set(said.splitlines())
    assert "+ plugin request-size-limiting of route vectors-store" in said.splitlines()
    assert said.endswith("Kong 3.9.3 runs with the file\n")


def test_the_same_file_again_changes_nothing(kong: Kong, sync: Sync) -> None:
    kong.text = OURS

    assert sync() == "nothing of what the file says would change\nKong 3.9.3 had this file already\n"
    assert kong.loaded == []


def test_what_changes_is_named_and_nothing_else(kong: Kong, sync: Sync, tmp_path: Path) -> None:
    kong.text = OURS
    changed = edited(
        tmp_path,
        ("read_timeout: 120000", "read_timeout: 90000"),
        ("write_timeout: 120000", "write_timeout: 90000"),
        ("name: auth-me,", "name: auth-self,"),
        ("minute: 30000", "minute: 600"),
    )

    said = sync("--dry-run", file=changed).splitlines()

    assert sorted(said) == [
        "+ route auth-self",
        "- route auth-me",
        "~ plugin rate-limiting: config.minute: 30000 -> 600",
        "~ service chat: read_timeout: 120000 -> 90000",
        "~ service chat: write_timeout: 120000 -> 90000",
    ]
    assert kong.loaded == []


def test_what_is_somebody_elses_is_not_replaced_unless_told(kong: Kong, sync: Sync) -> None:
    running = parsed(OURS)
    running["services"].append(
        {"name": "shop", "host": "shop.example", "routes": [{"name": "shop", "paths": ["/shop"]}]}
    )
    running["plugins"].append({"name": "ip-restriction", "config": {"allow": ["10.0.0.0/8"]}})
    running["consumers"] = [{"username": "partner"}]
    kong.text = yaml.dump(running, Dumper=yaml.CSafeDumper)

    refused = sync()
    assert kong.loaded == []
    told = sync("--replace")

    for line in ("service shop", "route shop", "plugin ip-restriction", "consumers partner"):
        assert f"! {line}: not in the file\n" in refused
    assert "refused: the file has none of the above" in refused
    assert told.endswith("runs with the file\n")
    assert kong.text == OURS


def test_a_file_that_cannot_be_honoured_reaches_no_kong(kong: Kong, sync: Sync, tmp_path: Path) -> None:
    said = sync(file=edited(tmp_path, ("retries: 5", "retries: 6")))

    assert "services[0].retries: " in said
    assert kong.loaded == []


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ({"database": "postgres"}, "has a database (postgres)"),
        ({"version": "3.4.2"}, "this is 3.4.2"),
        ({"version": "4.0.0"}, "this is 4.0.0"),
        ({"plugins": ["cors", "correlation-id", "prometheus"]}, "pre-function, rate-limiting, request-size-limiting"),
    ],
)
def test_a_kong_that_the_file_is_not_for_is_left_alone(
    kong: Kong, sync: Sync, kind: dict[str, object], reason: str
) -> None:
    for name, value in kind.items():
        setattr(kong, name, value)

    assert reason in sync()
    assert kong.loaded == []


def test_an_enterprise_build_of_the_version_is_taken(kong: Kong, sync: Sync) -> None:
    kong.version = "3.10.0.1-enterprise-edition"

    assert sync().endswith("Kong 3.10.0.1 runs with the file\n")


FLATTENED = [
    {"entity_type": "route", "entity_name": "docs", "errors": [{"field": "paths", "message": "invalid regex"}]}
]


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (
            (400, {"message": "declarative config is invalid", "flattened_errors": FLATTENED}),
            "route docs: paths: invalid regex",
        ),
        ((400, {"message": "declarative config is invalid: {}"}), "declarative config is invalid"),
        ((413, {"message": "Configuration does not fit in LMDB database"}), "does not fit in LMDB"),
        ((429, {"message": "Currently loading previous configuration"}), "Kong is busy (429 Currently loading"),
        ((503, {"message": "Kong currently exiting"}), "Kong is busy (503"),
        ((500, {"message": "An unexpected error occurred"}), "An unexpected error occurred"),
    ],
)
def test_kongs_own_refusal_is_told(kong: Kong, sync: Sync, failure: tuple[int, dict[str, object]], reason: str) -> None:
    kong.failure = failure

    said = sync()

    assert "refused: " in said
    assert reason in said


def test_a_kong_that_shows_something_else_afterwards_is_not_believed(kong: Kong, sync: Sync) -> None:
    kong.forgets = True

    assert "refused: Kong took the file, and still shows\n  + plugin cors" in sync()


@pytest.mark.parametrize("url", ["ftp://kong:8001", "http://user:secret@kong:8001", "kong:8001", ""])
def test_an_address_that_is_none_is_named_without_being_shown(
    sync: Sync, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("KONG_ADMIN_URL", url)

    said = sync()

    assert said.startswith("KONG_ADMIN_URL: ")
    assert "secret" not in said


def test_nobody_at_the_address_is_said(sync: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONG_ADMIN_URL", f"http://127.0.0.1:{free_port()}")

    assert "Connection refused" in sync()


def test_what_is_no_admin_api_is_not_taken_for_one(
    sync: Sync, services: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KONG_ADMIN_URL", services["agents"])

    assert "no Admin API of Kong" in sync()
