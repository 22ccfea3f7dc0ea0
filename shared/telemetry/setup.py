"""Wires logs and traces, once, at the start of a process."""

import logging
import sys

from shared.settings import ServiceSettings
from shared.telemetry.logs import JsonFormatter
from shared.telemetry.tracing import record_with


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
    record_with(provider)
