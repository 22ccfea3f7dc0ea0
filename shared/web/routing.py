"""Which route a request is for: found by its path, not by trying one after the other."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.routing import APIRoute
from opentelemetry import trace
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from shared.errors import PROBLEMS, Dialect
from shared.web.heads import head_of

_REST: Final = ":path}"
"""Ends a template whose last parameter may hold slashes."""
_Matched = tuple[Match, Scope]


class RouteIndex(BaseRoute):
    """All routes of a service in the place of one, of which only those are tried that the path can be meant for.

    FastAPI tries each in turn, and each of an included router twice, which costs every request 5 to 7 µs for each route
    that stands before its own: 300 µs for the last of forty.

    Among those that are tried, the first that takes path and method is the one; as everywhere, one that takes only the
    path is the answer (405) when none takes both. Whatever answers GET answers HEAD, unless another route does.
    """

    def __init__(self, routes: Sequence[APIRoute]) -> None:
        self.routes = tuple(routes)
        literal = {route.path for route in routes if "{" not in route.path}
        self._literal = {path: [route for route in routes if route.path_regex.match(path)] for path in literal}
        self._templates = defaultdict[int, list[APIRoute]](list)
        longest = max((_length(route.path) for route in routes), default=0)
        self._longer = [route for route in routes if route.path.endswith(_REST)]
        for route in routes:
            if "{" in route.path:
                last = longest if route.path.endswith(_REST) else _length(route.path)
                for length in range(_length(route.path), last + 1):
                    self._templates[length].append(route)
        self._longest = longest

    def matches(self, scope: Scope) -> _Matched:
        """As of any route of Starlette."""
        if scope["type"] != "http":
            return Match.NONE, {}
        match, found = self._matched(scope)
        if match == Match.PARTIAL and scope["method"] == "HEAD":
            return self._matched({**scope, "method": "GET"})
        return match, found

    def _matched(self, scope: Scope) -> _Matched:
        partial: _Matched | None = None
        for route in self.candidates(scope["path"]):
            match, found = route.matches(scope)
            if match == Match.FULL:
                return match, found
            if match == Match.PARTIAL and partial is None:
                partial = match, found
        return partial or (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the route that matched answer; raises what it raises."""
        span = trace.get_current_span()
        if span.is_recording():  # FastAPI names it after a route it knows
            span.set_attribute("http.route", route_path(scope))
            span.update_name(f"{scope['method']} {route_path(scope)}")
        route: APIRoute = scope["route"]
        if scope["method"] == "HEAD" and "GET" in (route.methods or ()):
            await head_of(route.app)(scope, receive, send)
        else:
            await route.handle(scope, receive, send)

    def candidates(self, path: str) -> Sequence[APIRoute]:
        """Those that could be meant by `path`, in their order."""
        if (found := self._literal.get(path)) is not None:
            return found
        length = _length(path)
        return self._longer if length > self._longest else self._templates.get(length, ())


def _length(path: str) -> int:
    return path.count("/")


def api_routes(router: APIRouter) -> list[APIRoute]:
    """What its decorators made; a service's routers have nothing else."""
    return [route for route in router.routes if isinstance(route, APIRoute)]


def routes_of(app: FastAPI) -> list[BaseRoute]:
    """Every route of the app, those of its index one by one."""
    return [one for route in app.routes for one in (route.routes if isinstance(route, RouteIndex) else [route])]


def route_path(scope: Mapping[str, Any]) -> str:
    """The matched route as documents write it; unmatched paths share one label, so that callers cannot grow metrics."""
    return getattr(_context(scope), "path_format", "unmatched")


def dialect_of(scope: Mapping[str, Any]) -> Dialect:
    """How the matched route words its errors; problem+json where none matched."""
    dialect: Dialect = getattr(scope.get("route"), "dialect", PROBLEMS)
    return dialect


def _context(scope: Mapping[str, Any]) -> Any:
    # FastAPI keeps a route with what its routers add in a context of its own; the route itself lacks their prefix.
    return scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")


def allowed_methods(request: Request) -> str | None:
    """Every method the matched path answers to; Starlette names only those of the first route it tried."""
    operations = request.app.openapi().get("paths", {}).get(route_path(request.scope))
    methods = {method.upper() for method in operations or ()}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set()))) or None


def literal_paths(routes: Sequence[APIRoute]) -> list[APIRoute]:
    """Routes to stand before `routes`, for what these would misread: `PATCH /agents/create` is no agent's id.

    They answer 405 where a literal path lacks a method that a template matching it has, in the words of the path.
    """
    own: defaultdict[str, set[str]] = defaultdict(set)
    for route in routes:
        own[route.path].update(route.methods or ())
    dialects = {route.path: dialect_of({"route": route}) for route in routes}
    refusing = APIRouter(include_in_schema=False)
    for path in own:
        matching = (route.methods or () for route in routes if route.path_regex.match(path))
        if "{" not in path and (misread := set[str]().union(*matching) - own[path]):
            refusing.add_api_route(path, _refuse, methods=sorted(misread))
    found = api_routes(refusing)
    for route in found:
        route.dialect = dialects[route.path]  # type: ignore[attr-defined] # as a GuardedRoute has one
    return found


async def _refuse() -> None:
    raise HTTPException(405)
