"""One gateway over all six services serves the tests that change nothing: ours, or one that is given."""

from collections.abc import Iterator

import httpx
import pytest

from local import certificates
from local.suite import Suite
from tests.fixtures.given_gateway import GIVEN, certificate_of, registered, wait_for_answer, write_settings
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.gateway.running import UPSTREAMS, Edge, Gateway, gateway, upstreams


@pytest.fixture(scope="package")
def services(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Stand-ins for all six, at fixed addresses; a gateway that is given finds them by their names and certificates."""
    if not GIVEN:
        with upstreams(*UPSTREAMS) as urls:
            yield urls
        return
    suite: Suite = request.getfixturevalue("suite")
    suite.up(["consul"])
    suite.site.certificates.mkdir(exist_ok=True)
    certificates.put_missing(suite.site.certificates)
    ports = {name: free_port() for name in UPSTREAMS}
    proving = [f"{name}={port}:{certificate_of(suite, name)}" for name, port in ports.items()]
    with upstreams(*UPSTREAMS, more=proving) as urls, registered(suite, ports):
        write_settings(suite)
        wait_for_answer("/docs", lambda answer: "x-seen" in answer.headers)
        yield urls


@pytest.fixture(scope="package")
def own_edge(services: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """kong.yml as it is, on our Envoy."""
    with gateway(tmp_path_factory.mktemp("edge"), services) as running:
        yield running


@pytest.fixture(scope="package")
def edge(request: pytest.FixtureRequest, services: dict[str, str]) -> Iterator[Edge]:
    """kong.yml as it is, on ours or on the gateway that is given."""
    if not GIVEN:
        yield request.getfixturevalue("own_edge")
        return
    with httpx.Client(base_url=GIVEN, timeout=PATIENCE_SECONDS, verify=authorities()) as client:
        yield Edge(client)
