"""The events of a run as an HTTP answer."""

from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse

EVENT_STREAM = "text/event-stream"
# No cache may keep events, and no proxy may hold them back until a buffer is full.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event_stream(frames: AsyncIterator[bytes]) -> StreamingResponse:
    """The frames as they come."""
    return StreamingResponse(frames, media_type=EVENT_STREAM, headers=_HEADERS)
