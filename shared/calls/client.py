"""Calls by name, with timeouts, a retry budget and the trace."""

import asyncio
import logging
import random
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx

from shared import deadlines, telemetry
from shared.calls.answers import raise_for_problem
from shared.calls.budget import RetryBudget
from shared.calls.pool import CONNECT_SECONDS
from shared.discovery import Discovery
from shared.errors import (
    ServiceError,
    Unavailable,
    UpstreamTimeout,
)
from shared.telemetry import Metrics
from shared.tls import meant, refusal_in

_log = logging.getLogger("shared.calls")
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_MAX_RETRIES = 2
_MAX_CALL_SECONDS = 60.0
_TOLD = 0.95  # of our own patience, so that the answer says what was too slow


class ServiceClient:
    """Calls services by name. Every failure arrives as one of our errors, naming the service."""

    def __init__(
        self, discovery: Discovery, http: httpx.AsyncClient, metrics: Metrics, *, uses_tls: bool = False
    ) -> None:
        """With `uses_tls` (and `http` a pool with it) nothing is sent but to who proves to be the service meant."""
        self._discovery = discovery
        self._http = http
        self._metrics = metrics
        self._uses_tls = uses_tls
        self._budgets: dict[str, RetryBudget] = {}

    async def call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json: Any = None,
        content: bytes | AsyncIterable[bytes] | None = None,
        form: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
        idempotent: bool | None = None,
    ) -> httpx.Response:
        """The 2xx answer of `service`.

        A refused connection is tried elsewhere whatever the method, since nothing was sent; other failures only for
        idempotent calls. Raises Unavailable, UpstreamTimeout, UpstreamFailed, or the error the service itself decided
        (Relayed, with its status and code; Unauthenticated for 401). All tries together take `timeout_seconds` at
        most, and no longer than whoever we work for waits: past that nothing is sent.
        """
        seconds = deadlines.remaining(timeout_seconds or self._http.timeout.read or _MAX_CALL_SECONDS)
        request = self._request(
            service,
            method,
            path,
            seconds,
            json=json,
            content=content,
            data=form,
            params=params,
            headers=_headers(token, headers),
        )
        repeatable = method in _IDEMPOTENT if idempotent is None else idempotent
        with self._counted(service):
            response = await self._send_in_time(service, request, seconds, repeatable=repeatable)
            raise_for_problem(service, response)
        return response

    @asynccontextmanager
    async def stream(
        self, service: str, path: str, *, token: str, timeout_seconds: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of `service`'s 2xx answer to a GET, piece by piece as it comes; closed at the end of the block.

        Opening it is tried elsewhere as `call` is, what was begun is not begun again: a body that breaks off raises
        Unavailable where it is read. Opening and reading together take `timeout_seconds` at most; raises as `call`.
        """
        seconds = deadlines.remaining(timeout_seconds)
        request = self._request(service, "GET", path, seconds, headers=_headers(token, None))
        end_at = asyncio.get_running_loop().time() + seconds
        failed: list[ServiceError] = []
        try:
            response = await self._opened(service, request, seconds, end_at)
        except ServiceError as error:
            self._count(service, error)
            raise
        try:
            yield _pieces(service, response, end_at, failed)
        finally:
            await response.aclose()
            self._count(service, *failed)  # what the block raises of its own says nothing of the service

    async def _opened(self, service: str, request: httpx.Request, seconds: float, end_at: float) -> httpx.Response:
        """A 2xx answer whose body is still to be read. Raises as `call`."""
        response = await self._send_in_time(service, request, seconds, repeatable=True, streamed=True)
        if not response.is_error:
            return response
        try:
            async with _in_time(service, end_at):
                await response.aread()
        finally:
            await response.aclose()
        raise_for_problem(service, response)
        return response

    def _request(
        self, service: str, method: str, path: str, seconds: float, *, headers: dict[str, str], **body: Any
    ) -> httpx.Request:
        return self._http.build_request(
            method,
            f"http://{service}{path}",
            headers=headers | {deadlines.HEADER: str(int(seconds * _TOLD * 1000))},
            timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
            extensions=meant(service) if self._uses_tls else None,
            **body,
        )

    @contextmanager
    def _counted(self, service: str) -> Iterator[None]:
        try:
            yield
        except ServiceError as error:
            self._count(service, error)
            raise
        self._count(service)

    def _count(self, service: str, error: ServiceError | None = None) -> None:
        self._metrics.upstream_calls.labels(service, error.code if error else "ok").inc()

    async def _send_in_time(
        self, service: str, request: httpx.Request, seconds: float, *, repeatable: bool, streamed: bool = False
    ) -> httpx.Response:
        if seconds <= 0:
            raise UpstreamTimeout(service)
        try:
            async with asyncio.timeout(seconds):
                return await self._send_with_retries(service, request, repeatable=repeatable, streamed=streamed)
        except TimeoutError as error:
            raise UpstreamTimeout(service) from error

    async def _send_with_retries(
        self, service: str, request: httpx.Request, *, repeatable: bool, streamed: bool
    ) -> httpx.Response:
        budget = self._budgets.setdefault(service, RetryBudget())
        budget.record_call()
        for attempt in range(_MAX_RETRIES + 1):
            last = attempt == _MAX_RETRIES
            address = await self._discovery.choose(service)
            try:
                response = await self._http.send(_addressed(request, address), stream=streamed)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                self._discovery.eject(service, address)
                refusal = _refusal(service, address, error)
                # Who opens many connections at once is late itself; nothing was sent, so nobody is hit harder.
                is_late = isinstance(error, httpx.ConnectTimeout)
                if last or not (is_late or budget.take()):
                    raise Unavailable(service, detail=refusal) from error
            except httpx.TimeoutException as error:
                raise UpstreamTimeout(service) from error
            except httpx.TransportError as error:
                if last or not repeatable or not budget.take():
                    raise Unavailable(service) from error
            else:
                return response
            await asyncio.sleep(random.uniform(0, 0.05 * 2**attempt))
        raise Unavailable(service)


@asynccontextmanager
async def _in_time(service: str, end_at: float) -> AsyncIterator[None]:
    """What breaks off or is too slow in the block becomes our own error."""
    try:
        async with asyncio.timeout_at(end_at):
            yield
    except (TimeoutError, httpx.TimeoutException) as error:
        raise UpstreamTimeout(service) from error
    except httpx.TransportError as error:
        raise Unavailable(service) from error


async def _pieces(
    service: str, response: httpx.Response, end_at: float, failed: list[ServiceError]
) -> AsyncIterator[bytes]:
    """What breaks off stands in `failed` too, which tells it from what its reader raises."""
    pieces = response.aiter_bytes()
    while True:
        try:
            async with _in_time(service, end_at):
                piece = await anext(pieces, None)
        except ServiceError as error:
            failed.append(error)
            raise
        if piece is None:
            return
        yield piece


def _headers(token: str | None, extra: Mapping[str, str] | None) -> dict[str, str]:
    headers = dict(extra or {})
    if token:
        headers["authorization"] = f"Bearer {token}"
    if current := telemetry.request_id.get():
        headers["x-request-id"] = current
    telemetry.inject(headers)
    return headers


def _refusal(service: str, address: str, error: Exception) -> str | None:
    """What to tell callers when it was not the service that answered there; the log has the address. Else None."""
    if (reason := refusal_in(error)) is None:
        return None
    fields = {"upstream": service, "address": address, "cause": reason}
    _log.warning("not believed: the certificate was refused", extra={"fields": fields})
    return f"{service} did not prove who it is: its certificate was refused."


def _addressed(request: httpx.Request, address: str) -> httpx.Request:
    base = httpx.URL(address)
    request.url = request.url.copy_with(scheme=base.scheme, host=base.host, port=base.port)
    request.headers["host"] = base.netloc.decode()
    return request
