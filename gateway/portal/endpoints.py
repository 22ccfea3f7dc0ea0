"""The portal's own operation, and the one document over all of them."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from gateway.portal.dependencies import Reference, System
from gateway.portal.schemas import HealthReport
from shared.door import GuardedRoute

HEALTH_JSON = "application/health+json"

router = APIRouter(prefix="/api/v1", route_class=GuardedRoute)


class HealthResponse(JSONResponse):
    """Health as its own media type, so that monitors may tell it from an error page. FastAPI knows that it is JSON."""

    media_type = HEALTH_JSON


@router.get(
    "/health/check",
    tags=["health"],
    operation_id="health_check",
    summary="The health of the whole system",
    response_class=HealthResponse,
    response_model=HealthReport,
    responses={
        503: {
            "description": "Something that the system cannot do without is down",
            "content": {HEALTH_JSON: {"schema": {"$ref": "#/components/schemas/HealthReport"}}},
        },
    },
)
async def check(system: System) -> Response:
    """Fourteen checks: the five services, the seven stores as the services see them, Consul and the gateway.

    `pass`: all is well. `warn`: something is down that no operation needs alone. `fail`, with 503: operations fail.
    The answer is at most two seconds old, so it may be asked as often as you like.
    """
    report = await system.report()
    body, status = report.model_dump_json(exclude_none=True), 503 if report.status == "fail" else 200
    return Response(body, status, media_type=HEALTH_JSON)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(reference: Reference) -> Response:
    """One OpenAPI document over all services; those that are away are named in `x-unavailable`."""
    return Response(await reference.merged(), media_type="application/json")
