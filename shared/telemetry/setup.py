"""Wires logs and traces, once, at the start of a process."""

import logging
import sys
from collections.abc import Callable

from shared.settings import ServiceSettings
from shared.telemetry.export import Seldom, export_to
from shared.telemetry.logs import JsonFormatter


def configure(service: str, settings: ServiceSettings) -> Callable[[], None]:
    """Route the root logger to JSON on stdout and, when an exporter is set, record traces.

    What is returned is called when the process ends: what is recorded is sent, as far as that takes no time.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(service))
    handler.addFilter(Seldom())
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    # Nothing of this is in our format, and looking it up for every record costs more than writing the record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # the logging how-to's own advice ("Optimization")
    for noisy in ("httpx", "httpcore", "aiormq", "aio_pika", "neo4j", "opentelemetry"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if not settings.otel_exporter_otlp_endpoint:
        return lambda: None
    resource = {
        "service.name": service,
        "service.namespace": "sutazai",
        "service.version": settings.version,
        "service.instance.id": f"{service}-{settings.advertise_host}-{settings.port}",
    }
    return export_to(settings.otel_exporter_otlp_endpoint, settings.otel_traces_sample_ratio, resource)
