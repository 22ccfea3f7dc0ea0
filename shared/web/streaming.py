"""Server-sent events as an HTTP answer: for how long, and where a client says that it goes on."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import Header
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from shared.errors import ServiceError
from shared.identity import Authenticator, Caller
from shared.limits import Place

EVENT_STREAM = "text/event-stream"
HEARTBEAT = b": still here\n\n"
_LEEWAY_SECONDS: Final = 5.0  # as for tokens at the door: who was let in hears something
# No cache may keep events, and no proxy may hold them back until a buffer is full.
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event_stream(frames: AsyncIterator[bytes]) -> StreamingResponse:
    """The frames as they come."""
    return StreamingResponse(frames, media_type=EVENT_STREAM, headers=STREAM_HEADERS)


def event_frame(event_id: str | int, event_type: str, data: bytes) -> bytes:
    """One event as it goes over the wire; `data` is JSON on one line."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (str(event_id).encode(), event_type.encode(), data)


LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern=r"^[0-9]{1,9}$",
        description="the `id` of the last event that was heard: what came after it follows",
        examples=["3"],
    ),
]


class Listener:
    """Who hears a stream: until the token ends with which it was opened, or is revoked."""

    def __init__(self, caller: Caller, authenticator: Authenticator) -> None:
        self._caller, self._authenticator = caller, authenticator

    @property
    def seconds_left(self) -> float:
        """Until the token has ended by every clock."""
        return max(0.0, self._caller.expires_at + _LEEWAY_SECONDS - time.time())

    async def may_hear(self) -> bool:
        """Asked of what is known here, so before every frame. Nobody may where that cannot be told."""
        try:
            await self._authenticator.recognise(self._caller)
        except ServiceError:
            return False
        return True


class Followed(StreamingResponse):
    """A stream that holds a place for as long as it is sent, and is sent for as long as its listener may hear it."""

    media_type = EVENT_STREAM

    def __init__(self, frames: AsyncIterator[bytes], place: Place, listener: Listener) -> None:
        super().__init__(_heard(frames, listener), headers=STREAM_HEADERS)
        self._place, self._listener = place, listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A client that is connected and does not read would otherwise be waited for without end, in `send`."""
        try:
            async with asyncio.timeout(self._listener.seconds_left + _LEEWAY_SECONDS) as limit:
                await super().__call__(scope, receive, send)
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            self._place.give_back()


async def _heard(frames: AsyncIterator[bytes], listener: Listener) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(listener.seconds_left) as limit:
                frame = await anext(frames)
        except StopAsyncIteration:
            return
        except TimeoutError:
            if not limit.expired():
                raise
            return
        if not await listener.may_hear():
            return
        yield frame
