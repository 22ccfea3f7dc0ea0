"""python-consul2 speaks the protocol; our own pool does the talking.

The library's asyncio client opens a session per call. This room alone imports `consul`.
"""

import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import consul.base
import httpx

from shared.health import Finding

CONSUL_ERRORS = (consul.base.ConsulException, httpx.HTTPError, ValueError, KeyError)
"""What a Consul that is away, or says nonsense, raises."""
_CALL_SECONDS = 3.0
_CONNECT_SECONDS = 2.0
_FORBIDDEN = 403
_MOST_OF_A_REASON = 200


class TokenRefused(Finding, consul.base.ConsulException):  # type: ignore[misc] # the library is untyped
    """Consul does not know our token, or does not let it do what was asked: it is there, and waiting does not help."""

    def __init__(self, token: str | None, reason: str) -> None:
        who = "the token in CONSUL_TOKEN" if token else "whoever has none: CONSUL_TOKEN is not set"
        remedy = "give this process a token of this Consul that may read, and register its name"
        super().__init__(f"Consul refuses {who} ({reason[:_MOST_OF_A_REASON].strip()})", remedy)


class _Http(consul.base.HTTPClient):  # type: ignore[misc] # the library is untyped
    """The transport python-consul2 asks for, on our pool."""

    client: httpx.AsyncClient
    timeout: httpx.Timeout
    token: str | None

    async def _send(self, callback: Callable[[Any], Any], method: str, path: str, params: Any, data: Any) -> Any:
        headers = {"X-Consul-Token": self.token} if self.token else {}
        response = await self.client.request(
            method, self.uri(path, params), content=data or None, headers=headers, timeout=self.timeout
        )
        if response.status_code == _FORBIDDEN:
            raise TokenRefused(self.token, response.text)
        return callback(consul.base.Response(response.status_code, response.headers, response.text, response.content))

    def get(self, callback: Any, path: str, params: Any = None, headers: Any = None) -> Any:  # noqa: ARG002
        return self._send(callback, "GET", path, params, None)

    def put(self, callback: Any, path: str, params: Any = None, data: Any = "", headers: Any = None) -> Any:  # noqa: ARG002
        return self._send(callback, "PUT", path, params, data)

    def post(self, callback: Any, path: str, params: Any = None, data: Any = "", headers: Any = None) -> Any:  # noqa: ARG002
        return self._send(callback, "POST", path, params, data)

    def delete(self, callback: Any, path: str, params: Any = None, data: Any = "", headers: Any = None) -> Any:  # noqa: ARG002
        return self._send(callback, "DELETE", path, params, data)


class ConsulClient(consul.base.Consul):  # type: ignore[misc] # the library is untyped
    """One agent, asked with our token where we have one. Raises CONSUL_ERRORS, of these TokenRefused for a 403."""

    def __init__(
        self, url: str, client: httpx.AsyncClient, token: str | None = None, seconds: float = _CALL_SECONDS
    ) -> None:
        self._client, self._timeout = client, httpx.Timeout(seconds, connect=_CONNECT_SECONDS)
        self._token = token
        parts = urlsplit(url)
        with warnings.catch_warnings():  # it warns of its own legacy ACL calls, which nobody makes
            warnings.simplefilter("ignore", DeprecationWarning)
            super().__init__(host=parts.hostname, port=parts.port or 8500, scheme=parts.scheme)

    def http_connect(self, host: str, port: int, scheme: str, verify: bool = True, cert: Any = None) -> _Http:
        transport = _Http(host, port, scheme, verify, cert)
        transport.client, transport.timeout, transport.token = self._client, self._timeout, self._token
        return transport
