"""python-consul2 speaks the protocol; our own pool does the talking.

The library's asyncio client opens a session per call. This room alone imports `consul`.
"""

import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import consul.base
import httpx

CONSUL_ERRORS = (consul.base.ConsulException, httpx.HTTPError, ValueError, KeyError)
"""What a Consul that is away, or says nonsense, raises."""
_CALL_SECONDS = 3.0
_CONNECT_SECONDS = 2.0


class _Http(consul.base.HTTPClient):  # type: ignore[misc] # the library is untyped
    """The transport python-consul2 asks for, on our pool."""

    client: httpx.AsyncClient
    timeout: httpx.Timeout

    async def _send(self, callback: Callable[[Any], Any], method: str, path: str, params: Any, data: Any) -> Any:
        response = await self.client.request(method, self.uri(path, params), content=data or None, timeout=self.timeout)
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
    def __init__(self, url: str, client: httpx.AsyncClient, seconds: float = _CALL_SECONDS) -> None:
        self._client, self._timeout = client, httpx.Timeout(seconds, connect=_CONNECT_SECONDS)
        parts = urlsplit(url)
        with warnings.catch_warnings():  # it warns of its own legacy ACL calls, which nobody makes
            warnings.simplefilter("ignore", DeprecationWarning)
            super().__init__(host=parts.hostname, port=parts.port or 8500, scheme=parts.scheme)

    def http_connect(self, host: str, port: int, scheme: str, verify: bool = True, cert: Any = None) -> _Http:
        transport = _Http(host, port, scheme, verify, cert)
        transport.client, transport.timeout = self._client, self._timeout
        return transport
