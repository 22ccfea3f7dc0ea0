"""What every service gets by default: errors, ids, metrics, health, body limit, documents; its own routes on top."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from shared import problems
from shared.errors import PROBLEM_JSON, PROBLEM_REF, Problem
from shared.health import Health
from shared.metrics import Metrics
from shared.middleware import EdgeMiddleware
from shared.routing import literal_paths
from shared.security import SECURITY_SCHEMES, GuardedRoute
from shared.settings import ServiceSettings

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]
_HTTP_METHODS = frozenset({"get", "put", "post", "delete", "patch"})


def create_service(
    name: str,
    settings: ServiceSettings,
    *,
    title: str,
    description: str,
    lifespan: Lifespan,
    routers: Sequence[APIRouter],
    internal_routers: Sequence[APIRouter] = (),
    render_error: problems.Renderer | None = None,
) -> FastAPI:
    """The app of service `name`: `routers` under `/api/v1`; `internal_routers` under `/internal`, unrouted outside.

    Raises TypeError for a route that is no `GuardedRoute`.
    """
    app = FastAPI(
        title=title,
        description=description,
        version=settings.version,
        lifespan=lifespan,
        openapi_url=f"/api/v1/{name}/openapi.json",
        docs_url=None,  # the portal serves the pages, with assets of its own
        redoc_url=None,
        telemetry={"metrics": False, "logs": False, "operation_spans": False, "auto_configure": False},
    )
    app.state.service, app.state.settings = name, settings
    app.state.metrics, app.state.health = Metrics(), Health()
    app.add_middleware(EdgeMiddleware, metrics=app.state.metrics, max_body_bytes=settings.max_body_bytes)
    problems.install(app, render_error)
    for route in (route for router in (*routers, *internal_routers) for route in router.routes):
        if not isinstance(route, GuardedRoute):  # FastAPI would have the request say who its caller is
            raise TypeError(f"{route!r} is no GuardedRoute")
    for router in (literal_paths(routers), *routers):
        app.include_router(router, prefix="/api/v1")
    for router in internal_routers:
        app.include_router(router, prefix="/internal", include_in_schema=False)
    app.include_router(_operations)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign] # FastAPI's documented way to extend the document
    return app


_operations = APIRouter(include_in_schema=False)


@_operations.get("/health/live")
async def live() -> Response:
    """The process answers; no dependency is asked."""
    return Response(b'{"status":"pass"}', media_type="application/json")


@_operations.get("/health/ready")
async def ready(request: Request) -> Response:
    """Whether this instance can do its work, and what each dependency says; 503 when a hard one fails."""
    state = request.app.state
    readiness = await state.health.readiness()
    body = {
        "status": readiness.status,
        "service": state.service,
        "version": state.settings.version,
        "checks": readiness.checks,
    }
    status = 503 if readiness.status == "fail" else 200
    return Response(orjson.dumps(body), status_code=status, media_type="application/health+json")


@_operations.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text format."""
    return Response(request.app.state.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document, with the errors any route may answer and problem+json where FastAPI assumes its own."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs", {}))
        schemas["Problem"] = problem
        paths = document.get("paths", {}).values()
        operations = [operation for path in paths for method, operation in path.items() if method in _HTTP_METHODS]
        for operation in operations:
            _declare_common_errors(operation)
        if any("security" in operation for operation in operations):
            document["components"]["securitySchemes"] = SECURITY_SCHEMES
        app.openapi_schema = document
    return app.openapi_schema


def _declare_common_errors(operation: dict[str, Any]) -> None:
    common = {
        "422": "Unprocessable Content",
        "429": "Too Many Requests",
        "500": "Internal Server Error",
        "503": "Service Unavailable",
    }
    if "requestBody" in operation:
        common["413"] = "Content Too Large"
    if operation.get("security"):
        common |= {"401": "Unauthorized", "403": "Forbidden"}
    responses = operation["responses"]
    for status, description in common.items():
        declared = responses.get(status)
        if declared is None or "application/json" in declared.get("content", {}):  # FastAPI's own 422 shape
            responses[status] = {"description": description, "content": {PROBLEM_JSON: {"schema": PROBLEM_REF}}}
