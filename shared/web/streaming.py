"""Server-sent events as an HTTP answer, and where a client says that it goes on."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from shared.limits import Place

EVENT_STREAM = "text/event-stream"
HEARTBEAT = b": still here\n\n"
# No cache may keep events, and no proxy may hold them back until a buffer is full.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event_stream(frames: AsyncIterator[bytes]) -> StreamingResponse:
    """The frames as they come."""
    return StreamingResponse(frames, media_type=EVENT_STREAM, headers=_HEADERS)


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


class Followed(StreamingResponse):
    """A stream that holds a place for as long as it is sent."""

    media_type = EVENT_STREAM

    def __init__(self, frames: AsyncIterator[bytes], place: Place) -> None:
        super().__init__(frames, headers=_HEADERS)
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._place.give_back()
