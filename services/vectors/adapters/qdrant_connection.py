"""One client to a Qdrant server; what it raises is translated here."""

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from services.vectors.adapters.fullness import absent
from services.vectors.domain import EngineName
from services.vectors.errors import CollectionMissing, EngineKeyRefused
from shared.errors import ServiceError, Unavailable, UpstreamTimeout

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

_log = logging.getLogger("vectors.qdrant")
_COMPONENT = EngineName.QDRANT.component
_GRPC_PORT = 6334
# gRPC's own pauses between attempts grow to two minutes, however long the server has been back by then; and an attempt
# that nobody answers (its container is gone) takes twenty seconds.
_GRPC_OPTIONS = {
    "grpc.initial_reconnect_backoff_ms": 500,
    "grpc.max_reconnect_backoff_ms": 1_500,  # with gRPC's jitter less than two seconds
    "grpc.min_reconnect_backoff_ms": 1_500,  # which is how long an attempt may take
}
_CLOSE_SECONDS = 5.0
_UNAVAILABLE_CODES = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED", "INTERNAL", "UNKNOWN"})
_REFUSED_CODES = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})
_REFUSED_STATUSES = frozenset({401, 403})

Result = TypeVar("Result")
Call = Callable[["AsyncQdrantClient", Any], Awaitable[Result]]


class QdrantConnection:
    """Speaks gRPC when `url` names port 6334 (about twice as fast from Python), REST otherwise.

    Without a url it is the client's in-memory imitation of a server: a test double and nothing else. Importing the
    client takes seconds and making one tens of milliseconds, so both happen off the event loop, begun by `start` or by
    the first call. An opening that failed is begun again by the next call.
    """

    def __init__(self, url: str | None, api_key: str | None = None, timeout_seconds: float = 10.0) -> None:
        self._url = url
        self._api_key = api_key
        self._timeout_seconds = timeout_seconds
        self._opening: asyncio.Task[AsyncQdrantClient] | None = None
        self.in_memory = url is None

    def start(self) -> None:
        """Begin opening; nothing is waited for."""
        self._begun()

    def _begun(self) -> "asyncio.Task[AsyncQdrantClient]":
        if self._opening is None or (self._opening.done() and _failure(self._opening)):
            self._opening = asyncio.create_task(self._open())
        return self._opening

    async def run(self, call: Call[Result]) -> Result:
        """`await call(client, models)`.

        Raises CollectionMissing, EngineKeyRefused, Unavailable, StorageFull, UpstreamTimeout.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                client = await self._opened()
                return await call(client, importlib.import_module("qdrant_client.models"))
        except TimeoutError as error:
            raise UpstreamTimeout(_COMPONENT) from error
        except ServiceError:
            raise
        except Exception as error:
            raise self._translated(error) from error

    async def _opened(self) -> "AsyncQdrantClient":
        opening = self._begun()
        try:
            return await asyncio.shield(opening)
        except Exception as error:
            _log.exception("the client could not be opened")
            raise Unavailable(_COMPONENT) from error

    async def _open(self) -> "AsyncQdrantClient":
        return await asyncio.to_thread(self._client)

    def _client(self) -> "AsyncQdrantClient":
        library = importlib.import_module("qdrant_client")
        importlib.import_module("qdrant_client.models")
        if self._url is None:
            in_memory: AsyncQdrantClient = library.AsyncQdrantClient(":memory:")
            return in_memory
        client: AsyncQdrantClient = library.AsyncQdrantClient(
            url=self._url,
            prefer_grpc=urlsplit(self._url).port == _GRPC_PORT,
            grpc_port=_GRPC_PORT,
            grpc_options=dict(_GRPC_OPTIONS),
            timeout=int(self._timeout_seconds),
            headers={"api-key": self._api_key} if self._api_key else None,
            check_compatibility=False,  # it asks in a thread, over REST, and only warns
        )
        return client

    def _translated(self, error: Exception) -> Exception:
        """By type and status, a full disk alone by its text: a timeout over REST comes with an empty one."""
        from grpc.aio import AioRpcError  # type: ignore[import-untyped]
        from httpx import TimeoutException
        from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

        match error:
            case UnexpectedResponse(status_code=404):
                return CollectionMissing()
            case UnexpectedResponse(status_code=int(status)) if status in _REFUSED_STATUSES:
                return EngineKeyRefused(_COMPONENT, "QDRANT_API_KEY")
            case UnexpectedResponse(status_code=int(status)) if status >= 500 or status == 429:
                return absent(_COMPONENT, said=str(error))
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
        await asyncio.wait([self._opening], timeout=_CLOSE_SECONDS)
        if self._opening.done() and not _failure(self._opening):
            await self._opening.result().close()


def _failure(opening: "asyncio.Task[Any]") -> bool:
    return opening.cancelled() or opening.exception() is not None


def _translated_code(error: Exception, code: str) -> Exception:
    if code == "NOT_FOUND":
        return CollectionMissing()
    if code == "DEADLINE_EXCEEDED":
        return UpstreamTimeout(_COMPONENT)
    if code in _REFUSED_CODES:
        return EngineKeyRefused(_COMPONENT, "QDRANT_API_KEY")
    if code in _UNAVAILABLE_CODES:
        return absent(_COMPONENT, said=str(error))
    return error
