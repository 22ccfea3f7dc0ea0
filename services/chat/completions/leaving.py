"""Whoever asks as OpenAI's clients do leaves for good: what is made for them ends (docs/decisions/0092)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from shared.ending import end
from shared.web import EVENT_STREAM, STREAM_HEADERS

Leave = Callable[[], None]
Result = TypeVar("Result")


class Left(Exception):
    """Nobody is there to hear the answer."""


async def unless_left(request: Request, work: Coroutine[Any, Any, Result], leave: Leave) -> Result:
    """The result of `work`. Raises what it raises, and Left, after `leave`, where its client has gone before."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_left(request.receive))
    is_over = False
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        is_over = working.done()
        if is_over:
            return working.result()
        raise Left
    finally:
        if not is_over:
            leave()
        await end(working, leaving)


async def _left(receive: Callable[[], Awaitable[Any]]) -> None:
    """The body has been read: what is received now says that its client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Streamed(StreamingResponse):
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
