"""What can be seen of a running service: traces, logs and metrics that share their ids."""

from shared.telemetry.logs import JsonFormatter
from shared.telemetry.metrics import Metrics
from shared.telemetry.setup import configure
from shared.telemetry.tracing import continued, current_trace_id, inject, monotonic_ms, request_id

__all__ = [
    "JsonFormatter",
    "Metrics",
    "configure",
    "continued",
    "current_trace_id",
    "inject",
    "monotonic_ms",
    "request_id",
]
