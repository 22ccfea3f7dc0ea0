"""One client to a Qdrant server, shared by the engine and the catalogue; what it raises is translated here."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from services.vectors.domain import EngineName
from services.vectors.errors import CollectionMissing
from shared.errors import Unavailable, UpstreamTimeout

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

_COMPONENT = EngineName.QDRANT.component
_GRPC_PORT = 6334
_UNAVAILABLE_CODES = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED", "INTERNAL", "UNKNOWN"})
_REFUSED_CODES = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})

Result = TypeVar("Result")
Call = Callable[["AsyncQdrantClient", Any], Awaitable[Result]]


class QdrantConnection:
    """Speaks gRPC when `url` names port 6334 (about twice as fast from Python), REST otherwise.

    Without a url it is the client's in-memory imitation of a server: a test double and nothing else. Importing the
    client takes seconds, so it happens off the event loop, begun by `start` or by the first call.
    """

    def __init__(self, url: str | None, api_key: str | None = None, timeout_seconds: float = 10.0) -> None:
        self._url = url
        self._api_key = api_key
        self._timeout_seconds = timeout_seconds
        self._opening: asyncio.Task[AsyncQdrantClient] | None = None
        self.in_memory = url is None

    def start(self) -> None:
        """Begin opening; nothing is waited for."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())

    async def run(self, call: Call[Result]) -> Result:
        """`await call(client, models)`. Raises CollectionMissing, Unavailable, UpstreamTimeout."""
        self.start()
        assert self._opening is not None  # noqa: S101 - start made it
        client = await asyncio.shield(self._opening)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await call(client, importlib.import_module("qdrant_client.models"))
        except TimeoutError as error:
            raise UpstreamTimeout(_COMPONENT) from error
        except Exception as error:
            raise self._translated(error) from error

    async def _open(self) -> "AsyncQdrantClient":
        library = await asyncio.to_thread(importlib.import_module, "qdrant_client")
        if self._url is None:
            in_memory: AsyncQdrantClient = library.AsyncQdrantClient(":memory:")
            return in_memory
        prefer_grpc = urlsplit(self._url).port == _GRPC_PORT
        client: AsyncQdrantClient = library.AsyncQdrantClient(
            url=self._url,
            prefer_grpc=prefer_grpc,
            grpc_port=_GRPC_PORT,
            timeout=int(self._timeout_seconds),
            headers={"api-key": self._api_key} if self._api_key else None,
            check_compatibility=False,  # it asks in a thread, over REST, and only warns
        )
        return client

    def _translated(self, error: Exception) -> Exception:
        """By type and status, never by text: a timeout over REST comes with an empty one."""
        from grpc.aio import AioRpcError  # type: ignore[import-untyped]
        from httpx import TimeoutException
        from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

        match error:
            case UnexpectedResponse(status_code=404):
                return CollectionMissing()
            case UnexpectedResponse(status_code=int(status)) if status >= 500 or status in (401, 403, 429):
                return Unavailable(_COMPONENT)
            case ResponseHandlingException(source=TimeoutException()):
                return UpstreamTimeout(_COMPONENT)
            case ResponseHandlingException() | ResourceExhaustedResponse():
                return Unavailable(_COMPONENT)
            case AioRpcError():
                return _translated_code(error, error.code().name)
            case ValueError() if self.in_memory:  # the imitation has one exception for everything; here it is this
                return CollectionMissing()
        return error

    async def aclose(self) -> None:
        if self._opening is None:
            return
        client = await self._opening
        await client.close()


def _translated_code(error: Exception, code: str) -> Exception:
    if code == "NOT_FOUND":
        return CollectionMissing()
    if code == "DEADLINE_EXCEEDED":
        return UpstreamTimeout(_COMPONENT)
    if code in _UNAVAILABLE_CODES | _REFUSED_CODES:
        return Unavailable(_COMPONENT)
    return error
