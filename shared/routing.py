"""What FastAPI knows of the matched route, read in one place."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant


def route_path(scope: Mapping[str, Any]) -> str:
    """The template of the matched route; unmatched paths share one label, so that callers cannot grow the metrics."""
    return getattr(_context(scope), "path", "unmatched")


def route_dependant(scope: Mapping[str, Any]) -> Dependant:
    """What the matched route depends on, with what its routers add."""
    dependant: Dependant = _context(scope).dependant
    return dependant


def _context(scope: Mapping[str, Any]) -> Any:
    # FastAPI keeps a route with what its routers add in a context of its own; the route itself lacks their prefix.
    return scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")


def allowed_methods(request: Request) -> str | None:
    """Every method the matched path answers to; Starlette names only those of the first route it tried."""
    operations = request.app.openapi().get("paths", {}).get(route_path(request.scope))
    return ", ".join(sorted(method.upper() for method in operations)) if operations else None
