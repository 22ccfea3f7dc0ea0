"""The one layer around every request: ids, trace, metrics, access log, and the last resort for an unexpected error.

Pure ASGI and fused, because each layer costs time on every request and `BaseHTTPMiddleware` hides disconnects.
"""

import asyncio
import functools
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import deadlines, telemetry
from shared.errors import OutOfTime, ServiceError, Unavailable
from shared.limits import MOST_AT_ONCE, GatewaysWord, crowded, rate_limit_fields
from shared.schemas import new_id
from shared.telemetry import Metrics, conventions
from shared.watchdog import Watchdog
from shared.web.problems import error_response
from shared.web.routing import dialect_of, route_path
from shared.web.unread import drain

Given = dict[bytes, bytes]
"""The headers of a request, by their names in small letters."""
_log = logging.getLogger("shared.access")
_REMAINING = deadlines.HEADER.encode()
_QUIET_PATHS = frozenset({"/health/live", "/health/ready", "/metrics"})
_STREAM = b"text/event-stream"
_NO_TRACE: Mapping[str, str] = {}
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")  # a browser takes what we send for what we say it is
# What we take over from a caller goes into logs and headers: bounded and without control characters.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


class EdgeMiddleware:
    """Gives each request its id and trace, measures it, logs it, and turns an unexpected error into a bare 500."""

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, watchdog: Watchdog, limit_seconds: float, gateway: GatewaysWord
    ) -> None:
        self._app = app
        self._metrics, self._watchdog, self._gateway = metrics, watchdog, gateway
        self._answered = functools.cache(metrics.requests.labels)  # which checks and joins its labels each time
        self._limit_seconds = limit_seconds
        self._at_once = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"])  # what it looks for comes once; read here, since `Headers` takes longer
        self._gateway.note(scope, given)
        token = telemetry.request_id.set(_request_id(given))
        try:
            # Looking for a header in `Headers` goes through all of them: most requests come without a trace.
            carrier = Headers(scope=scope) if b"traceparent" in given else _NO_TRACE
            with telemetry.continued(carrier, scope["method"], is_told=_is_told(scope)) as span:
                await self._observed(given, scope, receive, send, span)
        finally:
            telemetry.request_id.reset(token)

    async def _observed(self, given: Given, scope: Scope, receive: Receive, send: Send, span: telemetry.Span) -> None:
        started = time.perf_counter()
        status = 0
        ids = [
            (b"x-request-id", telemetry.request_id.get().encode()),
            (b"x-trace-id", telemetry.current_trace_id().encode()),
            _NO_SNIFFING,
        ]
        limit = _Limit(given, self._watchdog, self._limit_seconds)

        async def send_with_ids(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status >= 400 and not limit.is_over:
                    await drain(given, scope, receive)
                told = (
                    *ids,
                    *rate_limit_fields(scope),
                    *dialect_of(scope).fields(scope, time.perf_counter() - started),
                )
                headers = message["headers"] = [*message.get("headers", ()), *told]
                if _is_stream(headers):
                    limit.lift()
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await limit.keep(lambda: self._answer(scope, receive, send_with_ids))
        except OutOfTime as error:
            if status:
                raise
            await error_response(error, scope)(scope, receive, send_with_ids)
        except asyncio.CancelledError:  # the server stops, and this request has used up its time
            if not status:  # whatever waits for it learns that another instance may be asked
                await _stopping(scope)(scope, receive, send_with_ids)
            raise
        except Exception:  # the last resort: logged once here, shown to the caller as a trace id only
            _log.exception("unexpected error", extra={"fields": {"path": scope["path"]}})
            if status:  # the answer is under way: closing the connection is all that is left
                raise
            await _internal_error(scope)(scope, receive, send_with_ids)
        finally:
            limit.release()
            self._metrics.in_flight.dec()
            self._record(scope, status, started, span)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_told(scope):
            await self._app(scope, receive, send)
        elif self._at_once >= MOST_AT_ONCE:
            await error_response(crowded(), scope)(scope, receive, send)
        else:
            self._at_once += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._at_once -= 1

    def _record(self, scope: Scope, status: int, started: float, span: telemetry.Span) -> None:
        elapsed = time.perf_counter() - started
        route = route_path(scope)
        self._answered(scope["method"], route, str(status)).observe(elapsed)
        if span.is_recorded:
            _describe(span, scope, route, status)
        if _is_told(scope):
            fields = {"method": scope["method"], "route": route, "status": status, "ms": round(elapsed * 1000, 2)}
            _log.info("request", extra={"fields": fields})


class _Limit:
    """How long one request may take: the service's own limit, or less where its caller waits for less."""

    __slots__ = ("_caller", "_seconds", "_told", "_watch", "_watchdog", "is_over")

    def __init__(self, given: Given, watchdog: Watchdog, seconds: float) -> None:
        self._told = deadlines.told(given.get(_REMAINING))
        self._seconds = seconds if self._told is None else min(seconds, self._told)
        self._watchdog, self._watch = watchdog, watchdog.watch("request", seconds)
        self._caller: asyncio.Timeout | None = None
        self.is_over = False  # or this instance stops: nobody waits any more, for whatever comes

    async def keep(self, answer: Callable[[], Awaitable[None]]) -> None:
        """Raises OutOfTime when it took too long, or when its caller had gone before it began."""
        try:
            with deadlines.limited(self._seconds):
                await (answer() if self._told is None else self._while_awaited(answer, self._told))
        except OutOfTime:
            self.is_over = True
            raise
        except asyncio.CancelledError as error:
            self.is_over = True
            if not self._watch.has_outlived:
                raise
            self._watch.task.uncancel()
            raise OutOfTime from error

    async def _while_awaited(self, answer: Callable[[], Awaitable[None]], seconds: float) -> None:
        if not seconds:
            raise OutOfTime
        self._caller = asyncio.timeout(seconds)
        try:
            async with self._caller:
                await answer()
        except TimeoutError as error:
            if self._caller.expired():
                raise OutOfTime from error
            raise

    def lift(self) -> None:
        """A stream goes on for as long as what it tells of, which has a limit of its own."""
        self._watchdog.release(self._watch)
        if self._caller is not None:
            self._caller.reschedule(None)

    def release(self) -> None:
        self._watchdog.release(self._watch)


def _is_told(scope: Scope) -> bool:
    return scope["path"] not in _QUIET_PATHS


def _describe(span: telemetry.Span, scope: Scope, route: str, status: int) -> None:
    """Without the path, which may hold what somebody named, and without the query, which may hold anything."""
    span.set(conventions.HTTP_METHOD, scope["method"])
    span.set(conventions.URL_SCHEME, scope["scheme"])
    span.set(conventions.HTTP_ROUTE, route)
    span.set(conventions.REQUEST_ID, telemetry.request_id.get())
    if status:
        span.set(conventions.HTTP_STATUS, status)
    if status >= 500:
        span.fail(str(status))


def _request_id(given: Given) -> str:
    told = given.get(b"x-request-id", b"")
    return told.decode() if _REQUEST_ID.fullmatch(told) else new_id()


def _is_stream(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-type" and value.startswith(_STREAM) for name, value in headers)


def _stopping(scope: Scope) -> Response:
    detail = "This instance is being stopped, and the request did not finish in time: it may have had its effect."
    response = error_response(Unavailable(scope["app"].state.service, detail=detail), scope)
    response.headers["Connection"] = "close"
    return response


def _internal_error(scope: Scope) -> Response:
    return error_response(ServiceError(), scope)
