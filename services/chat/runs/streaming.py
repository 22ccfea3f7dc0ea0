"""The events of a run as an HTTP answer."""

from collections.abc import AsyncIterator

from fastapi import Request

from services.chat.runs.service import RunService
from shared.door import ReplayableStream, caller_of

EVENT_STREAM = "text/event-stream"
# No cache may keep events, and no proxy may hold them back until a buffer is full.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event_stream(frames: AsyncIterator[bytes], run_id: str) -> ReplayableStream:
    """A stream that a repeated request is given again by its run."""
    return ReplayableStream(frames, reference=run_id, media_type=EVENT_STREAM, headers=_HEADERS)


async def replay(request: Request, run_id: str) -> ReplayableStream:
    """The events of an earlier run of the caller. Raises RunNotFound."""
    runs: RunService = request.state.runs
    return event_stream(await runs.reopen(caller_of(request), run_id), run_id)
