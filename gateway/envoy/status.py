"""What Envoy tells of itself: to anybody on this machine whether it serves and how much, to its owner everything.

Whoever reaches the whole of Envoy's admin can end it, a page in a browser on the same machine included. So that is a
socket which only its owner may use, and a port of its own passes on the few paths that change nothing.
"""

from pathlib import Path
from typing import Final

from gateway.envoy.messages import Json, extension

READABLE: Final = ("/ready", "/stats", "/stats/prometheus")
_CLUSTER = "envoy-admin"
_OWNER_ONLY = 0o600


def socket_path(state_dir: Path) -> Path:
    """Where the admin listens."""
    return state_dir.absolute() / "admin.sock"


def admin(state_dir: Path) -> Json:
    """Envoy's own admin."""
    return {"address": _pipe(state_dir, mode=_OWNER_ONLY)}


def listener(address: Json) -> Json:
    """Passes GETs of what is readable on to the admin; everything else has no route."""
    get = {"name": ":method", "string_match": {"exact": "GET"}}
    routes = [{"match": {"path": path, "headers": [get]}, "route": {"cluster": _CLUSTER}} for path in READABLE]
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="status",
        codec_type="HTTP1",
        route_config={"virtual_hosts": [{"name": "status", "domains": ["*"], "routes": routes}]},
        http_filters=[extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")],
    )
    return {
        "name": "status",
        "address": address,
        "enable_reuse_port": False,
        "ignore_global_conn_limit": True,
        "filter_chains": [{"filters": [manager]}],
    }


def cluster(state_dir: Path) -> Json:
    """The admin as an upstream."""
    endpoint = {"endpoint": {"address": _pipe(state_dir)}}
    return {
        "name": _CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": _CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _pipe(state_dir: Path, **options: int) -> Json:
    return {"pipe": {"path": str(socket_path(state_dir)), **options}}
