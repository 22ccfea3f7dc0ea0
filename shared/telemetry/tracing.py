"""W3C trace context over HTTP and AMQP, and the spans of a trace that is recorded.

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

from shared.telemetry.conventions import SCHEMA_URL
from shared.telemetry.spans import NOT_RECORDED, Attributes, RecordedSpan, Span, begun, propagator

_ids = random.Random()  # trace ids need to differ, not to be unguessable
_tracer: trace.Tracer | None = None
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


def record_with(provider: TracerProvider | None) -> None:
    """Have spans be recorded from now on; called once, at the start, before anything is opened. None: no longer."""
    global _tracer  # noqa: PLW0603 - set once at start
    _tracer = None if provider is None else provider.get_tracer("sutazai", schema_url=SCHEMA_URL)


def is_recording() -> bool:
    """Whether this process records any trace: what is opened may leave out what only spans need."""
    return _tracer is not None


def current_trace_id() -> str:
    """The 32 hex digits of the trace we are in; all zeros outside of any."""
    return format(trace.get_current_span().get_span_context().trace_id, "032x")


def current_span_id() -> str:
    """The 16 hex digits of the span we are in; all zeros outside of any."""
    return format(trace.get_current_span().get_span_context().span_id, "016x")


def inject(carrier: MutableMapping[str, str]) -> None:
    """Write the current trace context into the headers of an outgoing call or message."""
    propagator.inject(carrier)


def span(name: str, kind: SpanKind, attributes: Attributes | None = None) -> Span:
    """A piece of the work we are in, recorded where that is. What loops do by themselves belongs to no trace.

    `with` it, or `end` it.
    """
    if _tracer is None or not trace.get_current_span().is_recording():
        return NOT_RECORDED
    return begun(_tracer, name, kind, attributes, None)


def span_of(carrier: Mapping[str, str], name: str, kind: SpanKind, attributes: Attributes | None = None) -> Span:
    """A piece of the work that `carrier` names, wherever we are: of a message that was written then and is sent now."""
    if _tracer is None or "traceparent" not in carrier:
        return NOT_RECORDED
    return begun(_tracer, name, kind, attributes, propagator.extract(carrier, context.Context()))


@contextmanager
def continued(
    carrier: Mapping[str, str],
    name: str,
    kind: SpanKind = SpanKind.SERVER,
    attributes: Attributes | None = None,
    *,
    is_told: bool = True,
) -> Iterator[Span]:
    """Run the block inside the trace that `carrier` names, or inside a new one.

    A span is recorded where a provider is installed and `is_told`; elsewhere the trace id alone is carried.
    """
    if _tracer is not None and is_told:
        within = propagator.extract(carrier, context.Context())
        started = _tracer.start_span(name, within, kind, attributes)
        if started.is_recording():
            with RecordedSpan(started, None) as recorded:
                yield recorded
            return
        surroundings = trace.set_span_in_context(started)
    else:
        surroundings = _bare_trace(carrier)
    token = context.attach(surroundings)
    try:
        yield NOT_RECORDED
    finally:
        context.detach(token)


@contextmanager
def unrecorded() -> Iterator[None]:
    """What is asked of others within the block is in no trace, theirs included: they would begin one of their own."""
    token = context.attach(_bare_trace({}))
    try:
        yield
    finally:
        context.detach(token)


def _bare_trace(carrier: Mapping[str, str]) -> context.Context:
    """A context that carries a trace id and records nothing: the caller's trace, or a new one."""
    if "traceparent" in carrier:
        given = propagator.extract(carrier, context.Context())
        if trace.get_current_span(given).get_span_context().is_valid:
            return given
    fresh = SpanContext(_ids.getrandbits(128), _ids.getrandbits(64), is_remote=False, trace_flags=TraceFlags(0))
    return trace.set_span_in_context(NonRecordingSpan(fresh))


def monotonic_ms(since: float) -> float:
    """Milliseconds since a `time.perf_counter()` reading."""
    return (time.perf_counter() - since) * 1000
