"""Kong's services as Envoy's clusters: endpoints from a watched file, the failing set aside, retries bounded."""

from pathlib import Path
from typing import Final

from gateway.envoy.kong import Service
from gateway.envoy.messages import Json, seconds, typed
from gateway.envoy.tls import upstream_tls

HELD_BYTES: Final = 64 * 2**10
"""What is held of a body or an answer on each side of it, while the other side does not take it."""
# Below the 75 s for which the services keep a silent connection, so that we never send into one being closed.
_UPSTREAM_IDLE_SECONDS = 60
_MAX_CONNECTIONS = 2_048
# Of the requests under way, the share that may be retries; the floor lets every caller of a killed instance try again.
_RETRY_BUDGET_PERCENT = 20
_MIN_RETRIES = 32


def endpoints_path(state_dir: Path, service: str) -> Path:
    """The file that holds the endpoints of `service`."""
    return state_dir / "endpoints" / f"{service}.json"


def compile_cluster(service: Service, state_dir: Path, *, with_tls: bool = False) -> Json:
    """Envoy's cluster for one Kong service."""
    path = str(endpoints_path(state_dir, service.name).absolute())
    return {
        "name": service.name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": {"path_config_source": {"path": path}}},
        # As Kong does. Counting requests in flight instead would prefer an instance that refuses them fastest.
        "lb_policy": "ROUND_ROBIN",
        "per_connection_buffer_limit_bytes": HELD_BYTES,
        "connect_timeout": seconds(service.connect_timeout / 1000),
        "outlier_detection": _outlier_detection(),
        # With every endpoint set aside, trying one is better than refusing.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
        "circuit_breakers": _circuit_breakers(),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                "extensions.upstreams.http.v3.HttpProtocolOptions",
                explicit_http_config={"http_protocol_options": {}},
                common_http_protocol_options={"idle_timeout": seconds(_UPSTREAM_IDLE_SECONDS)},
            )
        },
        **(upstream_tls(service, state_dir) if with_tls and service.protocol == "https" else {}),
    }


def _outlier_detection() -> Json:
    """Only what the connection tells counts: an instance that answers 503 for its store is alive, and says why."""
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 2,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_local_origin_success_rate": 0,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "enforcing_failure_percentage": 0,
        "interval": "1s",
        "base_ejection_time": "5s",
        "max_ejection_time": "30s",
        "max_ejection_percent": 100,
    }


def _circuit_breakers() -> Json:
    thresholds = {
        "max_connections": _MAX_CONNECTIONS,
        "max_pending_requests": _MAX_CONNECTIONS,
        "max_requests": _MAX_CONNECTIONS,
        "retry_budget": {
            "budget_percent": {"value": _RETRY_BUDGET_PERCENT},
            "min_retry_concurrency": _MIN_RETRIES,
        },
    }
    return {"thresholds": [thresholds]}
