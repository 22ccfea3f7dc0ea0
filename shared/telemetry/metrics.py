"""Prometheus metrics of one service process; a registry of its own, so that several apps can live in one process."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from shared.ending import UNENDED
from shared.telemetry.pools import Connections

# Upper bounds in seconds: cached reads are a few milliseconds, a model's answer is tens of seconds.
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """What every service measures; a service adds its own instruments to `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(UNENDED)
        self.connections = Connections(self.registry)
        labels = ["method", "route", "status"]
        self.requests = Histogram(
            "http_server_request_duration_seconds", "time to answer", labels, buckets=_BUCKETS, registry=self.registry
        )
        self.in_flight = Gauge("http_server_active_requests", "requests being answered", registry=self.registry)
        self.upstream_calls = Counter(
            "http_client_requests_total", "calls to other services", ["service", "outcome"], registry=self.registry
        )
        self.outlived = Counter(
            "outlived_total", "what outlived its own limit by a tenth and was ended", ["kind"], registry=self.registry
        )
        self.rate_limit_unchecked = Counter(
            "rate_limit_unchecked_total", "requests that no limit was applied to", registry=self.registry
        )

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)
