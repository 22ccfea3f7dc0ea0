"""What every service gets by default: errors, ids, metrics, health, documents; its own routes on top."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from shared.door import GuardedRoute
from shared.health import Health
from shared.limits import GatewaysWord
from shared.settings import ServiceSettings
from shared.storage import Storage
from shared.telemetry import Metrics
from shared.tls import open_tls
from shared.watchdog import Watchdog
from shared.web import problems
from shared.web.document import document_of
from shared.web.middleware import EdgeMiddleware
from shared.web.operations import operations
from shared.web.routing import RouteIndex, api_routes, literal_paths

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]


def create_service(
    name: str,
    settings: ServiceSettings,
    *,
    title: str,
    description: str,
    tags: Mapping[str, str] | None = None,
    lifespan: Lifespan,
    routers: Sequence[APIRouter],
) -> FastAPI:
    """The app of service `name`, whose routers have whole paths: under `/api/v1`, or `/internal`, unrouted outside.

    Raises TypeError for a route that is no `GuardedRoute`, and CannotStart for a certificate that is no use.
    """
    app = FastAPI(
        title=title,
        description=description,
        openapi_tags=[{"name": name, "description": about} for name, about in (tags or {}).items()],
        version=settings.version,
        lifespan=lifespan,
        openapi_url=f"/api/v1/{name}/openapi.json",
        docs_url=None,  # the portal serves the pages, with assets of its own
        redoc_url=None,
        telemetry={"metrics": False, "logs": False, "operation_spans": False, "auto_configure": False},
    )
    app.state.service, app.state.settings = name, settings
    app.state.tls = open_tls(name, settings)
    app.state.metrics, app.state.health = Metrics(), Health()
    app.state.instance = f"{name}-{settings.advertise_host}-{settings.port}"
    app.state.storage = Storage(settings.watched_folders, settings.storage_floor_mib)
    app.state.watchdog = Watchdog(app.state.metrics.outlived)
    app.add_middleware(
        EdgeMiddleware,
        metrics=app.state.metrics,
        watchdog=app.state.watchdog,
        limit_seconds=settings.request_limit_seconds,
        gateway=GatewaysWord(settings.gateway_token),
    )
    problems.install(app)
    # Behind the document's own route, which a template such as `/agents/{id}` would take for one of its things.
    app.router.routes.append(RouteIndex([*_guarded(routers), *api_routes(operations)]))
    app.openapi = lambda: document_of(app)  # type: ignore[method-assign] # FastAPI's documented way to extend the document
    return app


def _guarded(routers: Sequence[APIRouter]) -> list[APIRoute]:
    """Their routes, and before them what answers for methods that a literal path lacks."""
    for route in (route for router in routers for route in router.routes):
        if not isinstance(route, GuardedRoute):  # FastAPI would have the request say who its caller is
            raise TypeError(f"{route!r} is no GuardedRoute")
    routes = [route for router in routers for route in api_routes(router)]
    return [*literal_paths(routes), *routes]
