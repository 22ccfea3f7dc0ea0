"""The one layer around every request: ids, trace, metrics, access log, and the last resort for an unexpected error.

Pure ASGI and fused, because each layer costs time on every request and `BaseHTTPMiddleware` hides disconnects.
"""

import logging
import re
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import telemetry
from shared.errors import ServiceError, TooLarge
from shared.limits import rate_limit_fields
from shared.schemas import new_id
from shared.telemetry import Metrics
from shared.web.problems import problem_response
from shared.web.routing import route_path

_log = logging.getLogger("shared.access")
_QUIET_PATHS = frozenset({"/health/live", "/health/ready", "/metrics"})
# What we take over from a caller goes into logs and headers: bounded and without control characters.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class EdgeMiddleware:
    """Gives each request its id and trace, measures it, logs it, and turns an unexpected error into a bare 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics, max_body_bytes: int) -> None:
        self._app = app
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        token = telemetry.request_id.set(_request_id(headers))
        try:
            with telemetry.continued(headers, f"{scope['method']} {scope['path']}"):
                await self._observed(scope, receive, send)
        finally:
            telemetry.request_id.reset(token)

    async def _observed(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status = 0
        ids = {"x-request-id": telemetry.request_id.get(), "x-trace-id": telemetry.current_trace_id()}

        async def send_with_ids(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                outgoing = MutableHeaders(scope=message)
                for name, value in ids.items():
                    outgoing[name] = value
                outgoing.raw.extend(rate_limit_fields(scope))
            await send(message)

        self._metrics.in_flight.inc()
        try:
            if _content_length(scope) > self._max_body_bytes:
                await problem_response(TooLarge(), instance=scope["path"])(scope, receive, send_with_ids)
            else:
                await self._app(scope, _counted(receive, self._max_body_bytes), send_with_ids)
        except Exception:  # the last resort: logged once here, shown to the caller as a trace id only
            _log.exception("unexpected error", extra={"fields": {"path": scope["path"]}})
            if status:  # the answer is under way: closing the connection is all that is left
                raise
            await _internal_error(scope)(scope, receive, send_with_ids)
        finally:
            self._metrics.in_flight.dec()
            self._record(scope, status, started)

    def _record(self, scope: Scope, status: int, started: float) -> None:
        elapsed = time.perf_counter() - started
        route = route_path(scope)
        self._metrics.requests.labels(scope["method"], route, str(status)).observe(elapsed)
        if scope["path"] not in _QUIET_PATHS:
            fields = {"method": scope["method"], "route": route, "status": status, "ms": round(elapsed * 1000, 2)}
            _log.info("request", extra={"fields": fields})


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else new_id()


def _content_length(scope: Scope) -> int:
    given = Headers(scope=scope).get("content-length", "")
    return int(given) if given.isascii() and given.isdigit() else 0


def _counted(receive: Receive, limit: int) -> Receive:
    """`receive` for a body that may hide its length. FastAPI passes on an HTTPException raised while it reads."""
    received = 0

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(413)
        return message

    return counting


def _internal_error(scope: Scope) -> Response:
    return problem_response(ServiceError(), instance=scope["path"])
