"""Kong's plugins as Envoy's HTTP filters, in the order in which Kong runs them."""

from math import ceil

from gateway.envoy.kong import KongFile, Route
from gateway.envoy.local_replies import TRACE_KEY, TRACE_NAMESPACE
from gateway.envoy.messages import Json, disabled, extension, seconds, set_header, typed
from gateway.envoy.plugins import Cors, CorsConfig, RateLimiting, RateLimitingConfig, RequestSizeLimiting

CORS = "envoy.filters.http.cors"
HEADERS = "envoy.filters.http.header_mutation"
RATE_LIMIT = "envoy.filters.http.local_ratelimit"

_HEADERS_MESSAGE = "extensions.filters.http.header_mutation.v3.HeaderMutation"
# Addresses counted at a time; the least recently seen is forgotten first.
_MAX_COUNTED_ADDRESSES = 10_000
_ENVOY_RATE_HEADERS = {
    "RateLimit-Limit": "x-ratelimit-limit",
    "RateLimit-Remaining": "x-ratelimit-remaining",
    "RateLimit-Reset": "x-ratelimit-reset",
}
# Pattern and substitution. An id that is not a UUID stays as it is; a malformed traceparent leaves nothing.
_DIGITS_OF_UUID = (
    "^([0-9a-fA-F]{8})-([0-9a-fA-F]{4})-([0-9a-fA-F]{4})-([0-9a-fA-F]{4})-([0-9a-fA-F]{12})$",
    r"\1\2\3\4\5",
)
_TRACE_ID_OF_TRACEPARENT = (r"^(?:[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}|.*)$", r"\1")


def http_filters(kong: KongFile) -> list[Json]:
    """The chain. What an answer passes through last (its headers' final spelling) stands first."""
    cors, limit = kong.plugin(Cors), kong.plugin(RateLimiting)
    chain = [_final_headers(cors, limit), _trace_id()]
    if cors:
        chain.append(extension(CORS, "extensions.filters.http.cors.v3.Cors"))
    if limit:
        chain.append(_rate_limit(limit.config))
    router = "extensions.filters.http.router.v3.Router"
    return [*chain, extension("envoy.filters.http.router", router, suppress_envoy_headers=True)]


def cors_policy(kong: KongFile) -> Json:
    """The virtual host's configuration of the CORS filter; empty without the plugin."""
    if not (cors := kong.plugin(Cors)):
        return {}
    policy = {
        "allow_origin_string_match": _origins(cors.config),
        "allow_methods": ",".join(cors.config.methods),
        "allow_headers": ",".join(cors.config.headers),
        "expose_headers": ",".join(cors.config.exposed_headers),
        "max_age": str(cors.config.max_age),
        "forward_not_matching_preflights": False,
    }
    return {CORS: typed("extensions.filters.http.cors.v3.CorsPolicy", **policy)}


def body_limit(kong: KongFile, route: Route) -> int | None:
    """The bytes a body of this route may have; None without the plugin."""
    size = kong.plugin(RequestSizeLimiting)
    return _own_limit(route) or (size.config.max_bytes if size else None)


def _own_limit(route: Route) -> int | None:
    return next((plugin.config.max_bytes for plugin in route.plugins if plugin.enabled), None)


def unrouted(kong: KongFile) -> list[Json]:
    """The last routes: 404 for everything else, not counted against a limit, readable for a foreign page's script."""
    uncounted = {RATE_LIMIT: disabled()} if kong.plugin(RateLimiting) else {}
    plain: Json = {"name": "no-route", "match": {"prefix": "/"}, "direct_response": {"status": 404}}
    if uncounted:
        plain["typed_per_filter_config"] = uncounted
    if not (cors := kong.plugin(Cors)):
        return [plain]
    # The CORS filter passes over routes that answer by themselves, so these carry the plugin's headers.
    readable: Json = {
        **plain,
        "name": "no-route-cors",
        "match": {"prefix": "/", "headers": [{"name": "origin", "string_match": _any_of(cors.config)}]},
        "typed_per_filter_config": {**uncounted, HEADERS: _cors_answer(cors.config)},
    }
    return [readable, plain]


def _cors_answer(config: CorsConfig) -> Json:
    mutations = [
        set_header("Access-Control-Allow-Origin", "*" if config.any_origin else "%REQ(origin)%"),
        set_header("Access-Control-Expose-Headers", ",".join(config.exposed_headers)),
    ]
    return typed(f"{_HEADERS_MESSAGE}PerRoute", mutations=_on_answer(mutations))


def _origins(config: CorsConfig) -> list[Json]:
    return [{"safe_regex": {"regex": ".*"}}] if config.any_origin else [{"exact": origin} for origin in config.origins]


def _any_of(config: CorsConfig) -> Json:
    if config.any_origin:
        return {"safe_regex": {"regex": ".*"}}
    return {"safe_regex": {"regex": "|".join(origin.replace(".", r"\.") for origin in config.origins)}}


def _final_headers(cors: Cors | None, limit: RateLimiting | None) -> Json:
    mutations: list[Json] = []
    if cors and cors.config.any_origin:  # as Kong does: never the caller's origin, and whether there is one or not
        mutations.append(set_header("Access-Control-Allow-Origin", "*"))
    on_answer = _on_answer(mutations)
    if limit:
        for name, envoys in _ENVOY_RATE_HEADERS.items():
            on_answer["response_mutations"].append({"append": set_header(name, f"%RESP({envoys})%")})
        on_answer["response_mutations"] += [{"remove": envoys} for envoys in _ENVOY_RATE_HEADERS.values()]
    return extension(HEADERS, _HEADERS_MESSAGE, mutations=on_answer)


def _on_answer(mutations: list[Json]) -> Json:
    return {"response_mutations": [{"append": mutation} for mutation in mutations]}


def _trace_id() -> Json:
    """The id that names the request in answers and logs: the caller's trace, or else the digits of the request id."""
    rules = [_stored("x-request-id", *_DIGITS_OF_UUID), _stored("traceparent", *_TRACE_ID_OF_TRACEPARENT)]
    message = "extensions.filters.http.header_to_metadata.v3.Config"
    return extension("envoy.filters.http.header_to_metadata", message, request_rules=rules)


def _stored(header: str, pattern: str, substitution: str) -> Json:
    """A later rule wins over an earlier one; a header that is rewritten to nothing is not stored."""
    rewrite = {"pattern": {"regex": pattern}, "substitution": substitution}
    stored = {"metadata_namespace": TRACE_NAMESPACE, "key": TRACE_KEY, "regex_value_rewrite": rewrite}
    return {"header": header, "on_header_present": stored}


def _rate_limit(config: RateLimitingConfig) -> Json:
    """A bucket an address, refilled steadily; Kong counts calendar windows. The limit is the same."""
    limit, period = config.window
    bucket = {"max_tokens": limit, "tokens_per_fill": limit, "fill_interval": seconds(period)}
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return extension(
        RATE_LIMIT,
        "extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="gateway",
        token_bucket=bucket,
        always_consume_default_token_bucket=False,
        rate_limits=[{"actions": [{"remote_address": {}}]}],
        descriptors=[{"entries": [{"key": "remote_address"}], "token_bucket": bucket}],
        max_dynamic_descriptors=_MAX_COUNTED_ADDRESSES,
        filter_enabled=always,
        filter_enforced=always,
        enable_x_ratelimit_headers="DRAFT_VERSION_03",
        response_headers_to_add=[set_header("Retry-After", str(ceil(period / limit)))],
    )
