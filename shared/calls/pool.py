"""The one long-lived pool of HTTP connections."""

import functools
import ssl
from typing import Any

import httpx
from httpx_aiohttp import HttpxAiohttpClient

from shared.telemetry import PoolUse
from shared.tls import Tls

_MAX_CONNECTIONS = 200
CONNECT_SECONDS = 1.0


class _CountedClient(HttpxAiohttpClient):
    """Knows how many calls wait for the head of their answer."""

    in_flight = 0

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        self.in_flight += 1
        try:
            return await super().send(request, **options)
        finally:
            self.in_flight -= 1


def http_pool_use(client: httpx.AsyncClient) -> PoolUse:
    """Of a client that was opened here. Connections without a call are not told of."""
    in_flight = client.in_flight if isinstance(client, _CountedClient) else 0
    return PoolUse(min(in_flight, _MAX_CONNECTIONS), None, max(0, in_flight - _MAX_CONNECTIONS), _MAX_CONNECTIONS)


def open_http_client(timeout_seconds: float, tls: Tls | None = None) -> httpx.AsyncClient:
    """A pool on aiohttp's transport, which is several times faster than httpx's own under concurrency.

    With `tls` it is for our own processes: by https it believes the suite's authority and nobody else's, and wants the
    name that `meant` says.
    """
    return _CountedClient(
        timeout=httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS, pool=1.0),
        limits=httpx.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=60),
        follow_redirects=False,
        verify=tls.client if tls else _authorities(),
    )


@functools.cache
def _authorities() -> ssl.SSLContext:
    """Read once in a process: it takes longer than all else that opens with a service, and holds up the event loop."""
    return httpx.create_ssl_context()
