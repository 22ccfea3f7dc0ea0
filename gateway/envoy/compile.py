"""The Kong file as an Envoy bootstrap."""

from gateway.envoy import status
from gateway.envoy.clusters import HELD_BYTES, compile_cluster
from gateway.envoy.filters import cors_policy, http_filters, unrouted
from gateway.envoy.kong import KongFile
from gateway.envoy.local_replies import PATH, TRACE_ID, local_reply_config
from gateway.envoy.messages import Json, extension, set_header, typed
from gateway.envoy.plugins import CorrelationId, PreFunction, RequestTransformer
from gateway.envoy.routes import compile_routes
from gateway.envoy.settings import GatewaySettings
from gateway.envoy.tracing import collector_clusters, tracing

STAT_PREFIX = "gateway"
_MAX_DOWNSTREAM_CONNECTIONS = 20_000
_MAX_HEADERS_KIB = 64
_MAX_HEAP = 512 * 2**20
_HEAP = "envoy.resource_monitors.fixed_heap"
# What a client may not tell Envoy or, through it, a service: by default Envoy believes callers from a private network.
_ENVOY_HEADERS = [
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-envoy-original-path",
]
# What only we say to a service. A client's own are taken away first: of several alike only one would be overwritten.
_TOKEN, _SOURCE = "X-Gateway-Token", "X-Real-IP"
# Kong says these itself, whatever a caller said; we say nothing of the kind.
_KONGS_OWN = ["X-Forwarded-Prefix", "X-Kong-Request-Id"]

# Of two `Host` headers Envoy makes one with a comma. RFC 9112 has 400 for that, and for none in HTTP/1.1.
_UNNAMED: Json = {
    "name": "no-host",
    "match": {"prefix": "/", "headers": [{"name": ":authority", "string_match": {"safe_regex": {"regex": "|.*,.*"}}}]},
    "direct_response": {"status": 400},
}


def compile_bootstrap(kong: KongFile, settings: GatewaySettings) -> Json:
    """Everything Envoy needs to know, endpoints apart."""
    return {
        "node": {"id": "gateway", "cluster": "sutazai"},
        "admin": status.admin(settings.gateway_state_dir),
        "layered_runtime": {"layers": [{"name": "static", "static_layer": {"re2.max_program_size.error_level": 500}}]},
        "overload_manager": {
            "refresh_interval": "0.25s",
            "resource_monitors": [
                extension(
                    "envoy.resource_monitors.global_downstream_max_connections",
                    "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    max_active_downstream_connections=_MAX_DOWNSTREAM_CONNECTIONS,
                ),
                extension(
                    _HEAP, "extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=_MAX_HEAP
                ),
            ],
            "actions": [
                _overload("stop_accepting_requests", {"threshold": {"value": 0.95}}),
            ],
        },
        "static_resources": {
            "listeners": [
                _listener(kong, settings),
                status.listener(_address("127.0.0.1", settings.gateway_admin_port)),
            ],
            "clusters": [
                *(
                    compile_cluster(service, settings.gateway_state_dir, with_tls=bool(settings.tls_authority_file))
                    for service in kong.services
                ),
                status.cluster(settings.gateway_state_dir),
                *collector_clusters(settings),
            ],
        },
    }


def _overload(action: str, trigger: Json) -> Json:
    return {"name": f"envoy.overload_actions.{action}", "triggers": [{"name": _HEAP, **trigger}]}


def _listener(kong: KongFile, settings: GatewaySettings) -> Json:
    """Peers whose `X-Forwarded-*` we believe are told apart by a filter chain of their own."""
    listener: Json = {
        "name": "public",
        "address": _address(settings.gateway_host, settings.gateway_port),
        "per_connection_buffer_limit_bytes": HELD_BYTES,
        "enable_reuse_port": False,  # a second gateway on the port must fail, not share it
        "default_filter_chain": _chain(kong, settings, trusted=[]),
    }
    if trusted := settings.kong_trusted_ips:
        ranges = [
            {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen} for network in trusted
        ]
        chain = _chain(kong, settings, trusted=ranges)
        listener["filter_chains"] = [chain | {"filter_chain_match": {"direct_source_prefix_ranges": ranges}}]
    return listener


def _chain(kong: KongFile, settings: GatewaySettings, *, trusted: list[Json]) -> Json:
    name = "envoy.filters.network.http_connection_manager"
    message = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    return {"filters": [extension(name, message, **_connection_manager(kong, settings, trusted))]}


def _connection_manager(kong: KongFile, settings: GatewaySettings, trusted: list[Json]) -> Json:
    manager: Json = {
        "stat_prefix": STAT_PREFIX,
        "codec_type": "HTTP1",
        "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "localhost"},
        "common_http_protocol_options": {"idle_timeout": "75s"},
        "request_headers_timeout": "10s",
        "request_timeout": "120s",
        "max_request_headers_kb": _MAX_HEADERS_KIB,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "server_header_transformation": "PASS_THROUGH",
        "http_filters": http_filters(kong),
        "route_config": _route_config(kong, settings, believing=bool(trusted)),
        "access_log": [_access_log()],
        **_client_address(trusted),
        **tracing(settings),
        **_request_id(kong),
    }
    if problems := kong.plugin(PreFunction):
        manager["local_reply_config"] = local_reply_config(problems.config.problems())
    return manager


def _client_address(trusted: list[Json]) -> Json:
    """Whose request it is: the peer's, or what trusted peers say, skipping trusted hops from the right."""
    nobody = {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]}
    if not trusted:
        return {"internal_address_config": nobody, "use_remote_address": True, "skip_xff_append": True}
    detection = extension(
        "envoy.http.original_ip_detection.xff",
        "extensions.http.original_ip_detection.xff.v3.XffConfig",
        xff_trusted_cidrs={"cidrs": trusted},
        skip_xff_append=True,
    )
    return {
        "internal_address_config": nobody,
        "use_remote_address": False,
        "original_ip_detection_extensions": [detection],
    }


def _request_id(kong: KongFile) -> Json:
    """Kept when the client sends one, made otherwise, on every answer; it has no part in what is traced."""
    uuid = typed(
        "extensions.request_id.uuid.v3.UuidRequestIdConfig",
        pack_trace_reason=False,
        use_request_id_for_trace_sampling=False,
    )
    extension_of_ids: Json = {"request_id_extension": {"typed_config": uuid}}
    if not kong.plugin(CorrelationId):
        return {"generate_request_id": False, **extension_of_ids}
    return {"preserve_external_request_id": True, "always_set_request_id_in_response": True, **extension_of_ids}


def _route_config(kong: KongFile, settings: GatewaySettings, *, believing: bool) -> Json:
    removed = [*_ENVOY_HEADERS, *_KONGS_OWN, _TOKEN, _SOURCE]
    if transformer := kong.plugin(RequestTransformer):
        removed += transformer.config.remove.headers
    host: Json = {"name": "public", "domains": ["*"], "routes": [_UNNAMED, *compile_routes(kong), *unrouted(kong)]}
    if policy := cors_policy(kong):
        host["typed_per_filter_config"] = policy
    return {
        "name": "public",
        "virtual_hosts": [host],
        "request_headers_to_remove": removed,
        "request_headers_to_add": [*_forwarded_headers(believing=believing), *_proof(kong, settings)],
    }


def _forwarded_headers(*, believing: bool) -> list[Json]:
    """What Kong tells an upstream; from peers we do not believe their own claims are overwritten."""
    claim = "ADD_IF_ABSENT" if believing else "OVERWRITE_IF_EXISTS_OR_ADD"
    return [
        set_header("X-Forwarded-For", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%", "APPEND_IF_EXISTS_OR_ADD"),
        set_header("X-Forwarded-Host", "%REQ(:AUTHORITY)%", claim),
        set_header("X-Forwarded-Port", "%DOWNSTREAM_LOCAL_PORT%", claim),
        set_header("X-Forwarded-Path", PATH, claim),
        set_header(_SOURCE, "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
    ]


def _proof(kong: KongFile, settings: GatewaySettings) -> list[Json]:
    """By which the services know that it is we who tell them the source."""
    if not (kong.plugin(PreFunction) and settings.gateway_token):
        return []
    return [set_header(_TOKEN, settings.gateway_token.get_secret_value().replace("%", "%%"))]


def _access_log() -> Json:
    """One JSON object a request. Without the query: it is the caller's business and may hold a secret."""
    fields = {
        "time": "%START_TIME%",
        "service": "gateway",
        "logger": "gateway.access",
        "level": "INFO",
        "message": "request",
        "method": "%REQ(:METHOD)%",
        "path": PATH,
        "route": "%ROUTE_NAME%",
        "status": "%RESPONSE_CODE%",
        "ms": "%DURATION%",
        "bytes": "%BYTES_SENT%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "upstream": "%UPSTREAM_HOST%",
        "flags": "%RESPONSE_FLAGS%",
        "reason": "%RESPONSE_CODE_DETAILS%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "trace_id": TRACE_ID,
    }
    message = "extensions.access_loggers.stream.v3.StdoutAccessLog"
    return extension("envoy.access_loggers.stdout", message, log_format={"json_format": fields})


def _address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}
