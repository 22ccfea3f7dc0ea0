"""The one long-lived pool of HTTP connections."""

import functools
import ssl

import httpx
from httpx_aiohttp import HttpxAiohttpClient

from shared.tls import Tls

_MAX_CONNECTIONS = 200
CONNECT_SECONDS = 1.0


def open_http_client(timeout_seconds: float, tls: Tls | None = None) -> httpx.AsyncClient:
    """A pool on aiohttp's transport, which is several times faster than httpx's own under concurrency.

    With `tls` it is for our own processes: by https it believes the suite's authority and nobody else's, and wants the
    name that `meant` says.
    """
    return HttpxAiohttpClient(
        timeout=httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS, pool=1.0),
        limits=httpx.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=60),
        follow_redirects=False,
        verify=tls.client if tls else _authorities(),
    )


@functools.cache
def _authorities() -> ssl.SSLContext:
    """Read once in a process: it takes longer than all else that opens with a service, and holds up the event loop."""
    return httpx.create_ssl_context()
