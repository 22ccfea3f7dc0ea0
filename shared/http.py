"""Calls from one service to another: by name, over one long-lived pool, with timeouts, a retry budget and the trace."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from httpx_aiohttp import HttpxAiohttpClient

from shared import telemetry
from shared.discovery import Discovery
from shared.errors import (
    FieldProblem,
    Relayed,
    ServiceError,
    Unauthenticated,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)
from shared.metrics import Metrics

_log = logging.getLogger("shared.http")
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_MAX_RETRIES = 2
_MAX_CONNECTIONS = 200
_CONNECT_SECONDS = 1.0


class RetryBudget:
    """Allows retries up to a share of the calls made, so that a failing dependency is not hit harder for failing.

    The window is the last hundred calls; `minimum` retries are always allowed, or a quiet service could never retry.
    """

    def __init__(self, ratio: float = 0.1, minimum: float = 2.0) -> None:
        self._ratio = ratio
        self._ceiling = max(minimum, 100 * ratio)
        self._tokens = minimum

    def record_call(self) -> None:
        self._tokens = min(self._ceiling, self._tokens + self._ratio)

    def take(self) -> bool:
        """Whether one more retry is affordable; takes it if so."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def open_http_client(timeout_seconds: float) -> httpx.AsyncClient:
    """A pool on aiohttp's transport, which is several times faster than httpx's own under concurrency."""
    return HttpxAiohttpClient(
        timeout=httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS, pool=1.0),
        limits=httpx.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=60),
        follow_redirects=False,
    )


class ServiceClient:
    """Calls services by name. Every failure arrives as one of our errors, naming the service."""

    def __init__(self, discovery: Discovery, http: httpx.AsyncClient, metrics: Metrics) -> None:
        self._discovery = discovery
        self._http = http
        self._metrics = metrics
        self._budgets: dict[str, RetryBudget] = {}

    async def call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
        idempotent: bool | None = None,
    ) -> httpx.Response:
        """The 2xx answer of `service`.

        A refused connection is tried elsewhere whatever the method, since nothing was sent; other failures only for
        idempotent calls. Raises Unavailable, UpstreamTimeout, UpstreamFailed, or the error the service itself decided
        (Relayed, with its status and code; Unauthenticated for 401).
        """
        request = self._http.build_request(
            method,
            f"http://{service}{path}",
            json=json,
            data=form,
            params=params,
            headers=_headers(token, headers),
            timeout=httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS)
            if timeout_seconds
            else httpx.USE_CLIENT_DEFAULT,
        )
        repeatable = method in _IDEMPOTENT if idempotent is None else idempotent
        try:
            response = await self._send_with_retries(service, request, repeatable=repeatable, stream=False)
            raise_for_problem(service, response)
        except ServiceError as error:
            self._metrics.upstream_calls.labels(service, error.code).inc()
            raise
        self._metrics.upstream_calls.labels(service, "ok").inc()
        return response

    async def _send_with_retries(
        self, service: str, request: httpx.Request, *, repeatable: bool, stream: bool
    ) -> httpx.Response:
        budget = self._budgets.setdefault(service, RetryBudget())
        budget.record_call()
        for attempt in range(_MAX_RETRIES + 1):
            last = attempt == _MAX_RETRIES
            address = await self._discovery.choose(service)
            try:
                response = await self._http.send(_addressed(request, address), stream=stream)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                self._discovery.eject(service, address)
                if last or not budget.take():
                    raise Unavailable(service) from error
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
    async def stream(
        self, service: str, method: str, path: str, *, token: str, json: Any = None, timeout_seconds: float = 60
    ) -> AsyncIterator[httpx.Response]:
        """The open 2xx answer of `service`; its body is read by the caller. `timeout_seconds` bounds each read."""
        request = self._http.build_request(
            method, f"http://{service}{path}", json=json, headers=_headers(token, None), timeout=timeout_seconds
        )
        response = await self._send_with_retries(service, request, repeatable=False, stream=True)
        try:
            if response.is_error:
                await response.aread()
            raise_for_problem(service, response)
            yield response
        finally:
            await response.aclose()


def _headers(token: str | None, extra: Mapping[str, str] | None) -> dict[str, str]:
    headers = dict(extra or {})
    if token:
        headers["authorization"] = f"Bearer {token}"
    if current := telemetry.request_id.get():
        headers["x-request-id"] = current
    telemetry.inject(headers)
    return headers


def _addressed(request: httpx.Request, address: str) -> httpx.Request:
    base = httpx.URL(address)
    request.url = request.url.copy_with(scheme=base.scheme, host=base.host, port=base.port)
    request.headers["host"] = base.netloc.decode()
    return request


def raise_for_problem(service: str, response: httpx.Response) -> None:
    """Turn an error answer of `service` into the error it stands for; its internal errors become UpstreamFailed."""
    if not response.is_error:
        return
    if response.status_code == 401:
        raise Unauthenticated
    try:
        body = response.json()
        code, title, detail = str(body["code"]), str(body["title"]), str(body["detail"])
    except (ValueError, KeyError, TypeError) as error:
        raise UpstreamFailed(f"{service} gave an invalid answer.") from error
    if response.status_code == 500:
        raise UpstreamFailed(f"{service} failed.")
    retry_after = response.headers.get("retry-after")
    raise Relayed(
        response.status_code,
        code,
        title,
        detail,
        errors=[FieldProblem.model_validate(problem) for problem in body.get("errors") or []],
        headers={"Retry-After": retry_after} if retry_after else {},
    )
