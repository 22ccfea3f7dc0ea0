"""Kong's routes as Envoy's, in the order in which Kong would try them.

Kong weighs a route by how many things it matches on (paths, and methods where it names some), then regular expressions
before prefixes, then `regex_priority`, then the longer prefix (its `traditional_compatible` router). Envoy takes the
first that matches, so the order of the list is the priority.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.envoy.filters import body_limit
from gateway.envoy.kong import KongFile, Route, Service
from gateway.envoy.messages import Json, seconds

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Nothing was sent, so another try is safe whatever the method.
_NOTHING_SENT = "connect-failure,refused-stream,reset-before-request"
_LONGEST = 2**63 - 1
_LITERAL = re.compile(r"(?:[A-Za-z0-9_~/-]|\\.)*")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One path of one Kong route, with those of its methods that are handled alike; None for all that are left."""

    service: Service
    route: Route
    path: str
    methods: tuple[str, ...] | None

    @property
    def is_safe(self) -> bool:
        """Whether it may be sent again, and its body is none."""
        return self.methods is not None and set(self.methods) <= set(_SAFE_METHODS)

    def rank(self) -> tuple[bool, bool, int, int]:
        """Sorts the first to be tried first."""
        is_regex = self.path.startswith("~")
        regex_priority = self.route.regex_priority if is_regex else 0
        return not self.route.methods, not is_regex, -regex_priority, 0 if is_regex else -len(self.path)


def compile_routes(kong: KongFile) -> list[Json]:
    """Envoy's routes for every operation of the file; what none of them matches has no route."""
    routes: list[Json] = []
    for candidate in sorted(_candidates(kong), key=_Candidate.rank):
        limit = body_limit(kong, candidate.route)
        if limit is not None and not candidate.is_safe:
            routes.append(_too_long(candidate, limit))
        routes.append(_route(candidate))
    return routes


def _candidates(kong: KongFile) -> Iterator[_Candidate]:
    for service in kong.services:
        for route in service.routes:
            for path in route.paths:
                for methods in _alike(route):
                    yield _Candidate(service, route, path, methods)


def _alike(route: Route) -> list[tuple[str, ...] | None]:
    if not route.methods:
        return [_SAFE_METHODS, None]
    safe = tuple(method for method in route.methods if method in _SAFE_METHODS)
    others = tuple(method for method in route.methods if method not in _SAFE_METHODS)
    return [methods for methods in (safe, others) if methods]


def _too_long(candidate: _Candidate, most: int) -> Json:
    """The answer to a body whose length is told. One without is counted by its service: here nothing is held of it."""
    told = {"name": "content-length", "range_match": {"start": most + 1, "end": _LONGEST}}
    match = _match(candidate)
    return {
        "name": f"{candidate.route.name}-too-large",
        "match": match | {"headers": [*match.get("headers", ()), told]},
        "direct_response": {"status": 413},
    }


def _match(candidate: _Candidate) -> Json:
    match = path_match(candidate.path)
    if candidate.methods is None:
        return match
    methods = {"safe_regex": {"regex": "|".join(candidate.methods)}}
    return match | {"headers": [{"name": ":method", "string_match": methods}]}


def _route(candidate: _Candidate) -> Json:
    return {"name": candidate.route.name, "match": _match(candidate), "route": _action(candidate)}


def path_match(path: str) -> Json:
    """Kong matches a regular expression from the path's start, Envoy the whole path; most of ours are literal."""
    if not path.startswith("~"):
        return {"prefix": path}
    pattern = path[1:]
    if not pattern.endswith("$") or pattern.endswith(r"\$"):
        return {"safe_regex": {"regex": f"{pattern}.*"}}
    pattern = pattern[:-1]
    if _LITERAL.fullmatch(pattern):
        return {"path": re.sub(r"\\(.)", r"\1", pattern)}
    return {"safe_regex": {"regex": pattern}}


def _action(candidate: _Candidate) -> Json:
    service = candidate.service
    action: Json = {
        "cluster": service.name,
        "host_rewrite_literal": service.host,  # as Kong does; `X-Forwarded-Host` has what the caller wrote
        # Kong has no limit for a whole answer, only for the silence between two bytes of it.
        "timeout": "0s",
        "idle_timeout": seconds(service.read_timeout / 1000),
    }
    return action | ({"retry_policy": _retry_policy(candidate)} if service.retries else {})


def _retry_policy(candidate: _Candidate) -> Json:
    """Elsewhere, at once; a safe method also when the instance died under it."""
    return {
        "retry_on": f"{_NOTHING_SENT},reset" if candidate.is_safe else _NOTHING_SENT,
        "num_retries": candidate.service.retries,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": 5,
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.050s"},
    }
