"""One conversation with a server of the Model Context Protocol, over the guard.

Imported when the first such tool is used: the SDK takes a second and some 30 MB.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from math import inf
from typing import Any, Final

import httpx2
import orjson
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, PaginatedRequestParams, TextContent, Tool

from services.agents.calls.domain import MOST_BYTES, Called, ToolFailed
from shared.outbound import Answer, NamesBusy, OutboundClient, OutboundError, OutboundRequest

_MOST_PAGES: Final = 5
_MOST_REQUESTS: Final = 100
"""Of one conversation: a server may have its requests answered by requests, and its stream opened again and again."""
_MOST_LISTED_OBJECTS: Final = 10_000
"""In all that a server answers while it is listed: the SDK makes models of each, and nobody has a turn meanwhile.

A server with a hundred tools has a thousand.
"""
# The client's own, or told by the guard: the length is that of the body, which is handed over whole.
_NOT_SENT: Final = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding"})
# The client would send cookies with the next request, and the guard refuses whatever has one.
_NOT_TOLD: Final = frozenset({"content-length", "content-encoding", "transfer-encoding", "connection", "set-cookie"})

# They quote what servers answer, which may hold what the servers were sent.
for _name in ("mcp", "httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class _Session(ClientSession):
    async def validate_tool_result(self, name: str, result: CallToolResult) -> None:
        """Nothing: the schema is the server's, and its patterns would be matched here with backtracking."""


class _Guarded(httpx2.AsyncBaseTransport):
    """Sends the SDK's requests through the guard; remembers why one was not answered."""

    def __init__(
        self, outbound: OutboundClient, url: str, headers: Mapping[str, str], end_at: float, most_objects: float = inf
    ) -> None:
        self._outbound, self._origin, self._headers, self._end_at = outbound, _origin(httpx2.URL(url)), headers, end_at
        self.failure: OutboundError | None = None
        self._left, self._objects_left = _MOST_REQUESTS, most_objects

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if _origin(request.url) != self._origin:  # whatever the library follows: the headers are for that one
            raise httpx2.ConnectError("another host", request=request)
        if not self._left:
            raise httpx2.ConnectError("the server has asked for too much", request=request)
        self._left -= 1
        named = {name.lower() for name in self._headers} | _NOT_SENT
        asked = OutboundRequest(
            method=request.method,
            url=str(request.url),
            seconds=self._end_at - asyncio.get_running_loop().time(),
            most_bytes=MOST_BYTES,
            headers={name: value for name, value in request.headers.items() if name.lower() not in named}
            | dict(self._headers),
            body=await request.aread() or None,
        )
        try:
            answer = await self._outbound.start(asked)
        except OutboundError as error:
            self.failure = error
            raise httpx2.ConnectError(error.detail, request=request) from error
        told = [(name, value) for name, value in answer.headers.items() if name.lower() not in _NOT_TOLD]
        return httpx2.Response(answer.status, headers=told, stream=_Body(answer, self._read), request=request)

    def _read(self, piece: bytes) -> None:
        """Raises ReadError for what brings more objects than are read."""
        self._objects_left -= piece.count(b"{")
        if self._objects_left < 0:
            raise httpx2.ReadError("more than may be read")


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: Answer, read: Callable[[bytes], None]) -> None:
        self._answer, self._read = answer, read

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.pieces():
                self._read(piece)
                yield piece
        except OutboundError as error:
            raise httpx2.ReadError(error.detail) from error
        if self._answer.is_cut:
            raise httpx2.ReadError("more than may be read")

    async def aclose(self) -> None:
        await self._answer.close()


async def list_tools(outbound: OutboundClient, url: str, headers: Mapping[str, str], seconds: float) -> list[Tool]:
    """What the server has, up to five pages. Raises ToolFailed, also for more than `_MOST_LISTED_OBJECTS`."""
    async with _talking(outbound, url, headers, seconds, _MOST_LISTED_OBJECTS) as session:
        found, cursor = [], None
        for _ in range(_MOST_PAGES):
            page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
            found += page.tools
            if (cursor := page.next_cursor) is None:
                break
        return found


async def call_tool(
    outbound: OutboundClient,
    url: str,
    headers: Mapping[str, str],
    seconds: float,
    name: str,
    arguments: Mapping[str, Any],
) -> Called:
    """What came of it, refusals of the server included. Raises ToolFailed."""
    async with _talking(outbound, url, headers, seconds) as session:
        try:
            return _reduced(await session.call_tool(name, dict(arguments)))
        except MCPError as error:
            return Called(f"The server refused the call: {error.error.message}", is_error=True)


@asynccontextmanager
async def _talking(
    outbound: OutboundClient, url: str, headers: Mapping[str, str], seconds: float, most_objects: float = inf
) -> AsyncIterator[ClientSession]:
    """A session that ends after `seconds`, whatever the server does. Raises ToolFailed."""
    loop = asyncio.get_running_loop()
    end_at = loop.time() + seconds
    guarded = _Guarded(outbound, url, headers, end_at, most_objects)
    try:
        async with (
            asyncio.timeout_at(end_at),
            httpx2.AsyncClient(transport=guarded, timeout=None, trust_env=False) as client,
            # Told that the session is over, a server that hangs would use up the time of an answer that is here.
            streamable_http_client(url, http_client=client, terminate_on_close=False) as (read, write),
            _Session(read, write) as session,
        ):
            await session.initialize()
            yield session
    except Exception as error:
        # Whatever a server makes of the library, in groups or not, is the tool's failure.
        if loop.time() >= end_at:
            raise ToolFailed("The server did not answer in time.") from error
        if isinstance(guarded.failure, NamesBusy):
            raise ToolFailed(guarded.failure.detail, is_callers=True) from error
        detail = guarded.failure.detail if guarded.failure else "The server does not speak the protocol as it should."
        raise ToolFailed(detail) from error


def _reduced(result: CallToolResult) -> Called:
    texts = [
        block.text if isinstance(block, TextContent) else f"({block.type} left out: no text)"
        for block in result.content
    ]
    if not texts and result.structured_content is not None:
        texts = [orjson.dumps(result.structured_content).decode()]
    return Called("\n".join(texts) or "The tool answered with nothing.", is_error=result.is_error)
