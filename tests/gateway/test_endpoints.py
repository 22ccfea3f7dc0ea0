"""Endpoints follow Consul: instances come and go without a restart, and Consul's own troubles change nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from gateway.envoy.endpoints import EndpointFile, parse_addresses
from local.suite import Suite
from shared.discovery import ConsulWatch, Instance
from shared.loops import in_background
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.fixtures.stores import consul_headers
from tests.gateway.running import Gateway, gateway, script, wait_for

AGENTS = "/api/v1/agents/list"
A, B = Instance("127.0.0.1", 1001), Instance("127.0.0.1", 1002)


def known(path: Path) -> list[tuple[str, int]]:
    """What Envoy would read."""
    resource = json.loads(path.read_text())["resources"][0]
    addresses = [host["endpoint"]["address"]["socket_address"] for host in resource["endpoints"][0]["lb_endpoints"]]
    return [(address["address"], address["port_value"]) for address in addresses]


async def test_file_holds_what_was_put_in_force_and_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "endpoints" / "agents.json"

    changed = await EndpointFile(path, "agents").replace([B, A])
    again = await EndpointFile(path, "agents").replace([A, B])

    assert (changed, again) == (True, False)
    assert known(path) == [A, B]


async def test_name_is_resolved_for_envoy(tmp_path: Path) -> None:
    path = tmp_path / "agents.json"

    await EndpointFile(path, "agents").replace([Instance("localhost", 80)])

    assert known(path)[0][0] in ("127.0.0.1", "::1")


def test_damaged_file_counts_as_nothing_known(tmp_path: Path) -> None:
    path = tmp_path / "agents.json"
    path.write_text('{"resources": [')

    assert EndpointFile(path, "agents").endpoints == []


@pytest.mark.parametrize("urls", ["https://a:1", "http://a", "a:1", "http://a:1,,"])
def test_address_that_is_no_plain_http_url_is_refused(urls: str) -> None:
    with pytest.raises(ValueError, match="http://host:port"):
        parse_addresses(urls)


@pytest.fixture
def consul() -> Iterator[str]:
    """A Consul that answers as the test wants."""
    port = free_port()
    with script("consul", str(port), ports=[port]):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
async def file(tmp_path: Path) -> EndpointFile:
    return EndpointFile(tmp_path / "agents.json", "agents")


@pytest.fixture
async def watch(consul: str, file: EndpointFile) -> AsyncIterator[ConsulWatch]:
    """Follows `agents`; believes in nobody after a second."""
    async with httpx.AsyncClient(verify=authorities()) as client:
        yield ConsulWatch(consul, client, "agents", file.take, grace_seconds=1.0)


def passing(consul: str, *addresses: str) -> None:
    place = f"{consul}/test/agents"
    httpx.put(place, json=list(addresses), timeout=PATIENCE_SECONDS, verify=authorities()).raise_for_status()


def forget(consul: str) -> None:
    """As if restarted without its data."""
    httpx.post(f"{consul}/test/forget", timeout=PATIENCE_SECONDS, verify=authorities()).raise_for_status()


async def in_force(file: EndpointFile, endpoints: list[Instance]) -> None:
    """Wait until a running watch has put `endpoints` in force."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while file.endpoints != endpoints:  # noqa: ASYNC110 - the file has no event to wait on
            await asyncio.sleep(0.01)


async def test_empty_answer_is_believed_only_after_a_while(consul: str, watch: ConsulWatch, file: EndpointFile) -> None:
    passing(consul, "127.0.0.1:1001")
    await watch.follow_once()
    passing(consul)

    await watch.follow_once()
    at_once = file.endpoints
    while file.endpoints:
        await watch.follow_once()

    assert at_once == [A]


async def test_instance_that_returns_in_time_was_never_dropped(
    consul: str, watch: ConsulWatch, file: EndpointFile
) -> None:
    passing(consul, "127.0.0.1:1001")
    await watch.follow_once()
    forget(consul)
    await watch.follow_once()
    passing(consul, "127.0.0.1:1002")

    await watch.follow_once()

    assert file.endpoints == [B]


async def test_watch_outlives_a_consul_that_is_away(tmp_path: Path, file: EndpointFile) -> None:
    port = free_port()
    async with (
        httpx.AsyncClient(verify=authorities()) as client,
        in_background(ConsulWatch(f"http://127.0.0.1:{port}", client, "agents", file.take).run()),
    ):
        with script("consul", str(port), ports=[port]):
            passing(f"http://127.0.0.1:{port}", "127.0.0.1:1001")
            await in_force(file, [A])
        with script("consul", str(port), ports=[port]):
            passing(f"http://127.0.0.1:{port}", "127.0.0.1:1002")
            await in_force(file, [B])


def test_instances_come_and_go_without_a_restart(tmp_path: Path, consul: str) -> None:
    first, second = free_port(), free_port()
    with (
        script("upstream", f"agents={first}", ports=[first]) as one,
        script("upstream", f"agents={second}", ports=[second]) as two,
        following_gateway(tmp_path, consul) as running,
    ):
        envoy = envoy_pid(running)
        passing(consul, f"127.0.0.1:{first}")
        wait_for(lambda: pids(running, 1) == {one.pid}, "the first instance")
        passing(consul, f"127.0.0.1:{first}", f"127.0.0.1:{second}")
        wait_for(lambda: pids(running, 10) == {one.pid, two.pid}, "both instances")
        passing(consul, f"127.0.0.1:{second}")
        wait_for(lambda: pids(running, 10) == {two.pid}, "the second instance alone")

        assert envoy_pid(running) == envoy


def test_requests_go_on_while_consul_is_away(tmp_path: Path) -> None:
    port, upstream = free_port(), free_port()
    with script("upstream", f"agents={upstream}", ports=[upstream]):
        with script("consul", str(port), ports=[port]):
            passing(f"http://127.0.0.1:{port}", f"127.0.0.1:{upstream}")
            with following_gateway(tmp_path, f"http://127.0.0.1:{port}") as running:
                wait_for(lambda: running.client.get(AGENTS).status_code == 200, "the instance")
        with following_gateway(tmp_path, f"http://127.0.0.1:{port}") as running:
            assert running.client.get(AGENTS).status_code == 200


def following_gateway(state_dir: Path, consul: str, **settings: str) -> AbstractContextManager[Gateway]:
    return gateway(state_dir, DISCOVERY="consul", CONSUL_URL=consul, **settings)


def pids(running: Gateway, requests: int) -> set[int | None]:
    answers = [running.client.get(AGENTS) for _ in range(requests)]
    return {answer.json()["pid"] if answer.is_success else None for answer in answers}


def envoy_pid(running: Gateway) -> int:
    """Changes when Envoy is started anew."""
    (envoy,) = psutil.Process(running.process.pid).children()
    return envoy.pid


def test_real_consul_is_followed(tmp_path: Path, suite: Suite) -> None:
    suite.up(["consul"])
    consul, ports = suite.url("consul"), (free_port(), free_port())
    with (
        script("upstream", f"agents={ports[0]}", ports=[ports[0]]) as first,
        script("upstream", f"agents={ports[1]}", ports=[ports[1]]) as second,
        registered(suite, ports[1]),
        following_gateway(
            tmp_path, consul, CONSUL_TOKEN=suite.environment("gateway").get("CONSUL_TOKEN", "")
        ) as running,
    ):
        with registered(suite, ports[0]):
            wait_for(lambda: {first.pid, second.pid} <= pids(running, 20), "both instances")
        wait_for(lambda: first.pid not in pids(running, 20), "the first to be forgotten")

        assert second.pid in pids(running, 20)


@contextmanager
def registered(suite: Suite, port: int) -> Iterator[None]:
    """An instance of `agents`, as a service would register it."""
    instance = {"ID": f"edge-test-{port}", "Name": "agents", "Address": "127.0.0.1", "Port": port}
    place = f"{suite.url('consul')}/v1/agent/service"
    with httpx.Client(headers=consul_headers(suite), timeout=PATIENCE_SECONDS, verify=authorities()) as client:
        client.put(f"{place}/register", json=instance).raise_for_status()
        try:
            yield
        finally:
            client.put(f"{place}/deregister/edge-test-{port}").raise_for_status()
