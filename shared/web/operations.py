"""The routes that operate a service: alive, ready, metrics. They are never routed from outside."""

import orjson
from fastapi import APIRouter, Request, Response

operations = APIRouter(include_in_schema=False)


@operations.get("/health/live")
async def live() -> Response:
    """The process answers; no dependency is asked."""
    return Response(b'{"status":"pass"}', media_type="application/json")


@operations.get("/health/ready")
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


@operations.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text format."""
    return Response(request.app.state.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
