"""Which traces Envoy records: by the trace, and not by the id that a caller gives a request."""

from collections.abc import Iterator

import pytest

from tests.fixtures.collector import Collector, collector
from tests.gateway.running import Gateway, gateway, wait_for

# Of Envoy's own reading of an id: one is no number, one says "always", one is over any share, one under it.
IDS = [
    None,
    "order-4711",
    "00000000-0000-9000-8000-000000000000",
    "0000270f-0000-4000-8000-000000000000",
    "00000000-0000-4000-8000-000000000000",
]
PATH = "/api/v1/agents/list"


@pytest.fixture(scope="module")
def traces() -> Iterator[Collector]:
    with collector() as found:
        yield found


@pytest.fixture(scope="module", params=["0", "1"])
def tracing(
    request: pytest.FixtureRequest,
    services: dict[str, str],
    traces: Collector,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Gateway, bool]]:
    """A gateway that records nothing, or everything, of what begins there."""
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": traces.url, "OTEL_TRACES_SAMPLE_RATIO": request.param}
    with gateway(tmp_path_factory.mktemp("traces"), services, **settings) as running:
        yield running, request.param == "1"


def told(running: Gateway, headers: dict[str, str]) -> tuple[str, bool]:
    """The trace that the service is told of, and whether it is recorded."""
    seen = running.client.get(PATH, headers=headers).json()["headers"]
    _, trace, _, flags = seen["traceparent"].split("-")
    return trace, flags == "01"


@pytest.mark.parametrize("request_id", IDS)
def test_the_id_of_a_request_does_not_decide(
    tracing: tuple[Gateway, bool], traces: Collector, request_id: str | None
) -> None:
    running, is_wanted = tracing

    trace, is_recorded = told(running, {"X-Request-ID": request_id} if request_id else {})

    assert is_recorded is is_wanted
    if is_wanted:
        wait_for(lambda: bool(traces.trace(trace)), "the gateway's span")
        assert [(span.service, span.name) for span in traces.trace(trace)] == [("gateway", "GET agents-list")]


@pytest.mark.parametrize(("flags", "is_wanted"), [("00", False), ("01", True)])
def test_a_trace_that_the_caller_began_is_recorded_as_the_caller_says(
    tracing: tuple[Gateway, bool], flags: str, is_wanted: bool
) -> None:
    parent = f"00-{'a1' * 16}-{'b2' * 8}-{flags}"

    assert told(tracing[0], {"traceparent": parent}) == ("a1" * 16, is_wanted)
