"""Policies and tokens of our Consul: put once, repaired, also over data of a time when nobody was asked."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.components import ALL
from local.consul_access import RULES, ConsulAccess, guard
from local.layout import REPOSITORY
from local.secrets import consul_token
from local.suite import Suite
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS

MANAGEMENT = "8d0b2b0e-5d3f-4d59-8a3c-1d8b1f0a9c11"


def access_of(suite: Suite) -> ConsulAccess:
    return ConsulAccess(suite.url("consul"), suite.secrets.consul_management)


def get(suite: Suite, path: str, token: str = "") -> Any:
    return (
        request("GET", suite.url("consul") + path, token or suite.secrets.consul_management).raise_for_status().json()
    )


def request(method: str, place: str, token: str = "", **given: Any) -> httpx.Response:
    headers = {"X-Consul-Token": token} if token else {}
    return httpx.request(method, place, headers=headers, timeout=PATIENCE_SECONDS, verify=authorities(), **given)


def accessor_of(suite: Suite, holder: str) -> str:
    return consul_token(suite.secrets.consul_management, f"{holder} accessor")


def accessors(suite: Suite) -> set[str]:
    return {one["AccessorID"] for one in get(suite, "/v1/acl/tokens")}


def take_away(suite: Suite, holder: str) -> None:
    place = f"{suite.url('consul')}/v1/acl/token/{accessor_of(suite, holder)}"
    request("DELETE", place, suite.secrets.consul_management).raise_for_status()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def test_each_has_a_token_of_its_own_and_the_same_each_time() -> None:
    tokens = {holder: consul_token(MANAGEMENT, holder) for holder in RULES}

    assert len({*tokens.values(), MANAGEMENT}) == len(RULES) + 1
    assert tokens == {holder: consul_token(MANAGEMENT, holder) for holder in RULES}
    assert tokens["auth"] != consul_token("another", "auth")


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ((1, 8), {"master", "agent", "default"}),
        ((1, 11), {"initial_management", "agent", "default"}),
        ((2, 0), {"initial_management", "agent", "dns"}),
    ],
)
def test_each_version_is_told_in_its_words(version: tuple[int, int], names: set[str]) -> None:
    acl = guard(MANAGEMENT, version)["acl"]

    assert (acl["enabled"], acl["default_policy"], set(acl["tokens"])) == (True, "deny", names)


def test_what_is_missing_is_put_and_nothing_else(suite: Suite) -> None:
    suite.up(["consul"])

    again = access_of(suite).put()
    take_away(suite, "auth")
    repaired = access_of(suite).put()

    assert (again, repaired) == (0, 1)
    suites_own = suite.environment("auth")["CONSUL_TOKEN"]
    assert [one["Name"] for one in get(suite, "/v1/acl/token/self", suites_own)["Policies"]] == ["sutazai-auth"]


def test_a_consul_of_before_goes_on_and_forgets_who_registered(suite: Suite) -> None:
    stranger = {"ID": "false-auth", "Name": "auth", "Address": "203.0.113.9", "Port": 1}
    with unguarded(suite) as url:
        request("PUT", f"{url}/v1/agent/service/register", json=stranger).raise_for_status()
        request("PUT", f"{url}/v1/kv/kept", content=b"yes").raise_for_status()
        until(lambda: bool(request("GET", f"{url}/v1/catalog/service/auth").json()), "the catalogue to know it")

    suite.up(["consul"])

    assert get(suite, "/v1/agent/services") == {}
    assert get(suite, "/v1/catalog/services") == {"consul": []}
    assert [one["Value"] for one in get(suite, "/v1/kv/kept")] == [base64.b64encode(b"yes").decode()]
    assert request("PUT", f"{suite.url('consul')}/v1/agent/service/register", json=stranger).status_code == 403
    assert get(suite, "/v1/health/service/auth", suite.environment("gateway")["CONSUL_TOKEN"]) == []


@contextmanager
def unguarded(suite: Suite) -> Iterator[str]:
    """The Consul of this suite as versions before would have run it, on the same data; its address."""
    for folder in ALL["consul"].folders(suite.site):
        folder.mkdir(mode=0o700)
    launch = ALL["consul"].launch(suite.site)
    [(path, text)] = launch.files.items()
    configuration = json.loads(text)
    del configuration["acl"], configuration["encrypt"]
    path.write_text(json.dumps(configuration))
    with subprocess.Popen(launch.command, env=dict(launch.environment), stdout=subprocess.DEVNULL) as process:
        url = suite.url("consul")
        try:
            until(lambda: has_leader(url), "a leader")
            yield url
        finally:
            process.terminate()


def has_leader(url: str) -> bool:
    try:
        return bool(httpx.get(f"{url}/v1/status/leader", timeout=2, verify=authorities()).json())
    except httpx.HTTPError:
        return False


def test_the_program_of_the_containers_keeps_them(suite: Suite, tmp_path: Path) -> None:
    suite.up(["consul"])
    management, ready = tmp_path / "management", tmp_path / "ready"
    management.write_text(f"{suite.secrets.consul_management}\n")
    program = [sys.executable, "-S", "-m", "local.consul_access"]  # on packages it may not rely
    with subprocess.Popen([*program, suite.url("consul"), management, ready], cwd=REPOSITORY) as process:
        try:
            until(ready.exists, "it to be ready")
            take_away(suite, "auth")
            until(lambda: accessor_of(suite, "auth") in accessors(suite), "the token to be back")
        finally:
            process.terminate()
