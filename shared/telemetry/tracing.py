"""W3C trace context over HTTP and AMQP.

Without `OTEL_EXPORTER_OTLP_ENDPOINT` no provider is installed: spans cost nothing, and a trace id is only carried along
(or made) so that logs, answers and messages of one request can be joined.
"""

import contextvars
import random
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()
_ids = random.Random()  # trace ids need to differ, not to be unguessable
_is_exporting = False
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


def record_with(provider: TracerProvider) -> None:
    """Have spans be recorded from now on; called once, at the start."""
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


def monotonic_ms(since: float) -> float:
    """Milliseconds since a `time.perf_counter()` reading."""
    return (time.perf_counter() - since) * 1000
