"""One gateway over all six services serves the tests that change nothing."""

from collections.abc import Iterator

import pytest

from tests.gateway.running import UPSTREAMS, Gateway, gateway, upstreams


@pytest.fixture(scope="session")
def services() -> Iterator[dict[str, str]]:
    """Stand-ins for all six, at fixed addresses."""
    with upstreams(*UPSTREAMS) as urls:
        yield urls


@pytest.fixture(scope="session")
def edge(services: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """kong.yml as it is, on Envoy."""
    with gateway(tmp_path_factory.mktemp("edge"), services) as running:
        yield running
