"""Whoever asks as OpenAI's clients do leaves for good: what is made for them ends (docs/decisions/0092)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from shared.ending import end
from shared.web import EVENT_STREAM, STREAM_HEADERS

Leave = Callable[[], None]
Result = TypeVar("Result")


_CLIENT_LEFT: Final = 499


def stay() -> None:
    """What whoever comes again does where others leave."""


async def unless_left(request: Request, work: Coroutine[Any, Any, Result], leave: Leave) -> Result | Response:
    """The result of `work`; where its client has gone before, `leave` is called and nobody hears what is answered.
    Raises what `work` raises."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_left(request.receive))
    is_over = False
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        is_over = working.done()
        return working.result() if is_over else Response(status_code=_CLIENT_LEFT)
    finally:
        if not is_over:
            leave()
        await end(working, leaving)


async def streamed_unless_left(request: Request, chunks: AsyncIterator[bytes], leave: Leave) -> Response:
    """The chunks as they come. What the first of them raises is raised: an error is an answer with its status for as
    long as nothing was said."""
    first = await unless_left(request, _first(chunks), leave)
    return first if isinstance(first, Response) else _Streamed(first, chunks, leave)


async def _first(chunks: AsyncIterator[bytes]) -> bytes:
    return await anext(chunks)


async def _left(receive: Callable[[], Awaitable[Any]]) -> None:
    """The body has been read: what is received now says that its client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


class _Streamed(StreamingResponse):
    """Chunks, for as long as their client is there."""

    media_type = EVENT_STREAM

    def __init__(self, first: bytes, rest: AsyncIterator[bytes], leave: Leave) -> None:
        super().__init__(self._all(first, rest), headers=STREAM_HEADERS)
        self._leave, self._is_over = leave, False

    async def _all(self, first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        yield first
        async for chunk in rest:
            yield chunk
        self._is_over = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            if not self._is_over:
                self._leave()
