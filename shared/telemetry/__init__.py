"""What can be seen of a running service: traces, logs and metrics that share their ids."""

from opentelemetry.trace import SpanKind

from shared.telemetry import conventions
from shared.telemetry.logs import JsonFormatter
from shared.telemetry.metrics import Metrics
from shared.telemetry.pools import PoolUse, measured_broker, measured_pool, measuring
from shared.telemetry.setup import configure
from shared.telemetry.spans import Span, Value, kind_of
from shared.telemetry.tracing import (
    continued,
    current_span_id,
    current_trace_id,
    inject,
    is_recording,
    monotonic_ms,
    request_id,
    span,
    span_of,
    unrecorded,
)

__all__ = [
    "JsonFormatter",
    "Metrics",
    "PoolUse",
    "Span",
    "SpanKind",
    "Value",
    "configure",
    "continued",
    "conventions",
    "current_span_id",
    "current_trace_id",
    "inject",
    "is_recording",
    "kind_of",
    "measured_broker",
    "measured_pool",
    "measuring",
    "monotonic_ms",
    "request_id",
    "span",
    "span_of",
    "unrecorded",
]
