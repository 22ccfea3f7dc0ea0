"""How the gateway starts, refuses to start, and stops."""

import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from pydantic import ValidationError

from gateway.envoy.settings import GatewaySettings
from gateway.envoy.status import socket_path
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.gateway.running import KONG_FILE, REPOSITORY, Gateway, edited, gateway, upstreams, wait_for

AGENTS = "/api/v1/agents/list"


def refused(**environment: str) -> str:
    """What the gateway says when it will not start."""
    result = subprocess.run(
        [sys.executable, "-m", "gateway.envoy"],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "DISCOVERY": "static", "KONG_CONFIG": str(KONG_FILE), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert result.returncode != 0
    return result.stdout + result.stderr


def test_what_cannot_be_honoured_stops_the_start_and_is_named(tmp_path: Path) -> None:
    plugin, field = ("name: prometheus", "name: jwt"), ("credentials: false", "private_network: true")
    path = edited(tmp_path, plugin, field)

    said = refused(KONG_CONFIG=str(path))

    assert f"{path}: plugins[6]: Input tag 'jwt'" in said
    assert f"{path}: plugins[0].cors.config.private_network: Extra inputs are not permitted" in said


def test_address_that_is_none_stops_the_start(tmp_path: Path) -> None:
    said = refused(GATEWAY_STATE_DIR=str(tmp_path), STATIC_SERVICES='{"agents": "https://a"}')

    assert "'https://a' is not of the form http://host:port" in said


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("DISCOVERY", "consul", "CONSUL_URL is needed"),
        ("CONSUL_URL", "localhost", "consul_url"),
        ("GATEWAY_PORT", "0", "gateway_port"),
        ("KONG_TRUSTED_IPS", "everyone", "kong_trusted_ips"),
    ],
)
def test_setting_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, said: str
) -> None:
    for name, given in {"DISCOVERY": "static", setting: value}.items():
        monkeypatch.setenv(name, given)

    with pytest.raises(ValidationError, match=said):
        GatewaySettings()


def test_taken_port_stops_the_start(tmp_path: Path) -> None:
    with upstreams("agents") as urls:
        taken = str(httpx.URL(urls["agents"]).port)

        said = refused(GATEWAY_STATE_DIR=str(tmp_path), GATEWAY_PORT=taken, GATEWAY_ADMIN_PORT=str(free_port()))

    assert "Address already in use" in said
    assert '"logger":"gateway","message":"the gateway failed"' in said


def test_request_in_flight_is_finished_before_the_end(tmp_path: Path) -> None:
    patience = str(PATIENCE_SECONDS)
    with upstreams("agents") as urls, gateway(tmp_path, urls, GATEWAY_DRAIN_SECONDS=patience) as running:
        answers: list[httpx.Response] = []
        caller = threading.Thread(
            target=lambda: answers.append(running.client.get(AGENTS, headers={"x-test": "slow"})), daemon=True
        )
        caller.start()
        wait_for(lambda: active_requests(running.admin_url) == 1, "the request to be under way")
        running.process.terminate()
        wait_for(lambda: not accepts(running.client.base_url), "the listener to close")
        httpx.get(f"{urls['agents']}/release", timeout=PATIENCE_SECONDS, verify=authorities())
        caller.join(PATIENCE_SECONDS)

        assert [answer.status_code for answer in answers] == [200]
        assert running.process.wait(PATIENCE_SECONDS) == 0


def active_requests(admin_url: str) -> int:
    asked = {"filter": "gateway.downstream_rq_active"}
    stats = httpx.get(f"{admin_url}/stats", params=asked, timeout=PATIENCE_SECONDS, verify=authorities()).text
    return int(stats.rsplit(": ", 1)[1])


def accepts(url: httpx.URL) -> bool:
    try:
        httpx.get(url.join("/nowhere"), timeout=2, verify=authorities())
    except httpx.ConnectError:
        return False
    except httpx.TransportError:  # whoever took the connection ended before its answer
        return True
    return True


def test_end_of_envoy_ends_the_gateway_with_an_error(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        (envoy,) = psutil.Process(running.process.pid).children()
        envoy.kill()

        assert running.process.wait(PATIENCE_SECONDS) == 1
        assert "envoy ended with code -9" in running.log()


def test_envoy_does_not_outlive_a_killed_gateway(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        (envoy,) = psutil.Process(running.process.pid).children()
        running.process.send_signal(signal.SIGKILL)

        wait_for(lambda: not envoy.is_running() or envoy.status() == psutil.STATUS_ZOMBIE, "envoy to end")


@contextmanager
def early_alone(tmp_path: Path, **environment: str) -> Iterator[bool]:
    """Whether Envoy is started from what an earlier gateway left, with nothing beside it."""
    code = (
        "from gateway.envoy import early; begun = early.start(); print(bool(begun), flush=True); begun and begun.wait()"
    )
    given = {"PATH": os.environ["PATH"], "GATEWAY_STATE_DIR": str(tmp_path), **environment}
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, env=given, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        yield process.stdout.readline() == "True\n"
    finally:
        process.kill()
        process.communicate()


def is_remembered(state_dir: Path) -> bool:
    return (state_dir / "last-start.json").exists()


def test_the_same_gateway_starts_envoy_before_all_else(tmp_path: Path) -> None:
    with upstreams("agents") as urls:
        with gateway(tmp_path, urls) as running:
            environment = running.environment
            wait_for(lambda: is_remembered(tmp_path), "the start to be remembered")  # it serves a moment earlier
            running.process.kill()
        wait_for(lambda: not accepts(running.client.base_url), "envoy to end")

        with early_alone(tmp_path, **environment) as begun:
            wait_for(lambda: accepts(running.client.base_url), "envoy, with no gateway beside it")
            answer = httpx.get(running.client.base_url.join(AGENTS), timeout=PATIENCE_SECONDS, verify=authorities())

    assert begun
    assert answer.status_code == 200


def test_a_changed_gateway_does_not_start_what_ran_before(tmp_path: Path) -> None:
    path = edited(tmp_path)
    with gateway(tmp_path, KONG_CONFIG=str(path)) as running:
        environment = running.environment
        wait_for(lambda: is_remembered(tmp_path), "the start to be remembered")
    with early_alone(tmp_path, **{**environment, "GATEWAY_CONCURRENCY": "2"}) as begun:
        after_a_setting = begun
    path.write_text(path.read_text().replace("minute: 30000", "minute: 30001"))
    with early_alone(tmp_path, **environment) as begun:
        after_the_file = begun

    assert (after_a_setting, after_the_file) == (False, False)


def test_metrics_are_served_on_loopback(edge: Gateway) -> None:
    edge.client.get("/nowhere")

    place = f"{edge.admin_url}/stats/prometheus"
    metrics = httpx.get(place, timeout=PATIENCE_SECONDS, verify=authorities()).text

    assert (
        'envoy_http_downstream_rq_xx{envoy_response_code_class="4",envoy_http_conn_manager_prefix="gateway"}' in metrics
    )


def test_every_setting_is_documented() -> None:
    page = (REPOSITORY / "docs" / "configuration.md").read_text()
    [ours] = re.findall(r"^## gateway$(.*?)^## ", page, re.MULTILINE | re.DOTALL)

    assert [name for name in GatewaySettings.model_fields if f"`{name.upper()}`" not in ours] == []


@pytest.mark.parametrize("path", ["/quitquitquit", "/healthcheck/fail", "/drain_listeners", "/config_dump", "/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_on_the_machine_reaches_the_admin(edge: Gateway, method: str, path: str) -> None:
    answer = httpx.request(
        method,
        f"{edge.admin_url}{path}",
        headers={"Origin": "https://example.com"},
        timeout=PATIENCE_SECONDS,
        verify=authorities(),
    )

    assert answer.status_code == 404
    assert edge.process.poll() is None
    assert edge.client.get("/api/v1/agents/list").status_code == 200


def test_the_admin_is_its_owners(edge: Gateway) -> None:
    mode = socket_path(edge.state_dir).stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
