"""The gateway's own span, the root of a trace: sent to the collector that the services send theirs to."""

from urllib.parse import SplitResult, urlsplit

from gateway.envoy.messages import Json, extension
from gateway.envoy.settings import GatewaySettings, collectors_authorities
from gateway.envoy.tls import public_tls

_CLUSTER = "traces"
_PORTS = {"http": 80, "https": 443}
_SEND_SECONDS = "5s"
_SAMPLERS = "envoy.tracers.opentelemetry.samplers"
_MILLION = 1_000_000
# Envoy writes the path with its query into a span: of both, nothing but the slash.
_MOST_OF_A_PATH = 1


def tracing(settings: GatewaySettings) -> Json:
    """Of the connection manager; nothing where nobody wants traces."""
    if (collector := _collector(settings)) is None:
        return {}
    uri = f"{collector.geturl().rstrip('/')}/v1/traces"
    provider = extension(
        "envoy.tracers.opentelemetry",
        "config.trace.v3.OpenTelemetryConfig",
        http_service={"http_uri": {"uri": uri, "cluster": _CLUSTER, "timeout": _SEND_SECONDS}},
        service_name="gateway",
        sampler=_sampler(settings.otel_traces_sample_ratio),
    )
    return {
        "tracing": {
            "provider": provider,
            "max_path_tag_length": _MOST_OF_A_PATH,
            "operation": "%REQ(:METHOD)% %ROUTE_NAME%",
        }
    }


def _sampler(ratio: float) -> Json:
    """As the services': what the caller's `traceparent` says, and of a trace that begins here by its id.

    Not by the request id, which is the caller's: `_request_id` of the compiler says so to Envoy.
    """
    share = {"numerator": round(ratio * _MILLION), "denominator": "MILLION"}
    of_new = extension(
        f"{_SAMPLERS}.trace_id_ratio_based",
        "extensions.tracers.opentelemetry.samplers.v3.TraceIdRatioBasedSamplerConfig",
        sampling_percentage=share,
    )
    return extension(
        f"{_SAMPLERS}.parent_based",
        "extensions.tracers.opentelemetry.samplers.v3.ParentBasedSamplerConfig",
        wrapped_sampler=of_new,
    )


def collector_clusters(settings: GatewaySettings) -> list[Json]:
    """The collector as an upstream, where there is one."""
    if (collector := _collector(settings)) is None:
        return []
    port = collector.port or _PORTS[collector.scheme]
    host = collector.hostname or ""  # which the settings do not take
    address = {"socket_address": {"address": host, "port_value": port}}
    cluster: Json = {
        "name": _CLUSTER,
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": _CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        # It may hang: what is not sent then is dropped, and is no memory of the gateway's.
        "circuit_breakers": {"thresholds": [{"max_connections": 2, "max_pending_requests": 4, "max_requests": 4}]},
    }
    if collector.scheme == "https":
        cluster |= public_tls(host, collectors_authorities())
    return [cluster]


def _collector(settings: GatewaySettings) -> SplitResult | None:
    endpoint = settings.otel_exporter_otlp_endpoint
    return urlsplit(endpoint) if endpoint else None
