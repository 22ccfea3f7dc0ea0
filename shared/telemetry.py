"""Traces and logs, wired once: W3C trace context over HTTP and AMQP, JSON logs that carry the trace id.

Without `OTEL_EXPORTER_OTLP_ENDPOINT` no provider is installed: spans cost nothing, and a trace id is only carried along
(or made) so that logs, answers and messages of one request can be joined.
"""

import contextvars
import logging
import random
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.settings import ServiceSettings

_propagator = TraceContextTextMapPropagator()
_ids = random.Random()  # trace ids need to differ, not to be unguessable
_is_exporting = False
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


def configure(service: str, settings: ServiceSettings) -> None:
    """Route the root logger to JSON on stdout and, when an exporter is set, install the tracer provider."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    # Nothing of this is in our format, and looking it up for every record costs more than writing the record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # the logging how-to's own advice ("Optimization")
    for noisy in ("httpx", "httpcore", "aiormq", "aio_pika", "neo4j", "opentelemetry"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if settings.otel_exporter_otlp_endpoint:
        _install_exporter(service, settings.otel_exporter_otlp_endpoint, settings.otel_traces_sample_ratio)


def _install_exporter(service: str, endpoint: str, sample_ratio: float) -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    provider = TracerProvider(
        resource=Resource.create({"service.name": service}), sampler=ParentBased(TraceIdRatioBased(sample_ratio))
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    global _is_exporting  # noqa: PLW0603 - set once at start, like the provider itself
    _is_exporting = True


def current_trace_id() -> str:
    """The 32 hex digits of the trace we are in; all zeros outside of any."""
    return format(trace.get_current_span().get_span_context().trace_id, "032x")


def inject(carrier: MutableMapping[str, str]) -> None:
    """Write the current trace context into the headers of an outgoing call or message."""
    _propagator.inject(carrier)


@contextmanager
def continued(carrier: Mapping[str, str], name: str, kind: SpanKind = SpanKind.SERVER) -> Iterator[None]:
    """Run the block inside the trace that `carrier` names, or inside a new one.

    A span is recorded where a provider is installed; elsewhere the trace id alone is carried.
    """
    if trace.get_current_span().get_span_context().is_valid:  # FastAPI opened the server span already
        yield
        return
    if _is_exporting:
        with trace.get_tracer("sutazai").start_as_current_span(name, context=_propagator.extract(carrier), kind=kind):
            yield
        return
    token = context.attach(_bare_trace(carrier))
    try:
        yield
    finally:
        context.detach(token)


def _bare_trace(carrier: Mapping[str, str]) -> context.Context:
    """A context that carries a trace id and records nothing: the caller's trace, or a new one."""
    if "traceparent" in carrier:
        given = _propagator.extract(carrier)
        if trace.get_current_span(given).get_span_context().is_valid:
            return given
    fresh = SpanContext(_ids.getrandbits(128), _ids.getrandbits(64), is_remote=False, trace_flags=TraceFlags(0))
    return trace.set_span_in_context(NonRecordingSpan(fresh))


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the trace and request it belongs to."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
            "trace_id": current_trace_id(),
            "request_id": request_id.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(entry, default=str).decode()


def monotonic_ms(since: float) -> float:
    """Milliseconds since a `time.perf_counter()` reading."""
    return (time.perf_counter() - since) * 1000
