"""What FastAPI knows of the matched route, read in one place."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request


def route_path(scope: Mapping[str, Any]) -> str:
    """The template of the matched route; unmatched paths share one label, so that callers cannot grow the metrics."""
    # FastAPI keeps the path with its router's prefix in a context of its own; `route.path` lacks the prefix.
    context = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return getattr(context, "path", "unmatched")


def allowed_methods(request: Request) -> str | None:
    """Every method the matched path answers to; Starlette names only those of the first route it tried."""
    operations = request.app.openapi().get("paths", {}).get(route_path(request.scope))
    return ", ".join(sorted(method.upper() for method in operations)) if operations else None
