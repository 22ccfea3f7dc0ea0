"""Hands recorded spans to a collector, from a thread of its own; what it does not take in time is dropped.

A collector that is away, refuses or hangs costs one log line a minute and at most three seconds at the end, and
nobody waits for it meanwhile.
"""

import logging
import threading
import time
from collections.abc import Callable

from shared.telemetry.tracing import record_with

_SEND_SECONDS = 5
_END_SECONDS = 3.0
_SELDOM_SECONDS = 60.0


class Seldom(logging.Filter):
    """Of what each logger of OpenTelemetry says, one record a minute: it would tell of every batch it cannot send."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._quiet_until: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("opentelemetry"):
            return True
        if self._clock() < self._quiet_until.get(record.name, 0.0):
            return False
        self._quiet_until[record.name] = self._clock() + _SELDOM_SECONDS
        return True


def export_to(endpoint: str, sample_ratio: float, resource: dict[str, str]) -> Callable[[], None]:
    """Record this share of new traces, and of others what their caller recorded; what is returned ends it."""
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    provider = TracerProvider(
        resource=Resource.create(resource),
        sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
        shutdown_on_exit=False,  # it would wait for half a minute
    )
    exporter = OTLPSpanExporter(
        endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_SEND_SECONDS, compression=Compression.Gzip
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    record_with(provider)

    def end() -> None:
        record_with(None)
        ending = threading.Thread(target=provider.shutdown, name="traces:end", daemon=True)
        ending.start()
        ending.join(_END_SECONDS)

    return end
