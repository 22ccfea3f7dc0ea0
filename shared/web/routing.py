"""What FastAPI knows of the matched route, and what it leaves unmatched, in one place."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.routing import APIRoute


def route_path(scope: Mapping[str, Any]) -> str:
    """The matched route as documents write it; unmatched paths share one label, so that callers cannot grow metrics."""
    return getattr(_context(scope), "path_format", "unmatched")


def _context(scope: Mapping[str, Any]) -> Any:
    # FastAPI keeps a route with what its routers add in a context of its own; the route itself lacks their prefix.
    return scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")


def allowed_methods(request: Request) -> str | None:
    """Every method the matched path answers to; Starlette names only those of the first route it tried."""
    operations = request.app.openapi().get("paths", {}).get(route_path(request.scope))
    return ", ".join(sorted(method.upper() for method in operations)) if operations else None


def literal_paths(routers: Sequence[APIRouter]) -> APIRouter:
    """Routes to include before `routers`, for what these would misread: `PATCH /agents/create` is no agent's id.

    They answer 405 where a literal path lacks a method that a template matching it has.
    """
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    own: defaultdict[str, set[str]] = defaultdict(set)
    for route in routes:
        own[route.path].update(route.methods or ())
    refusing = APIRouter(include_in_schema=False)
    for path in own:
        matching = (route.methods or () for route in routes if route.path_regex.match(path))
        if "{" not in path and (misread := set[str]().union(*matching) - own[path]):
            refusing.add_api_route(path, _refuse, methods=sorted(misread))
    return refusing


async def _refuse() -> None:
    raise HTTPException(405)
