"""A run that is executed in this process: those who follow it here are woken by it and need not ask Redis."""

import asyncio
from collections.abc import AsyncIterator

from services.chat.domain import Reply, Waiting
from services.chat.runs.events import Event
from shared.errors import ServiceError
from shared.web import HEARTBEAT

Outcome = Reply | Waiting | ServiceError
"""How a run leaves the process that executes it: with an answer, to wait, or failed."""
_JOINED_BYTES = 64 * 1024  # joined, frames are copied: so much is what one who is slow may hold of his own


class LiveRun:
    """The events so far, as they go over the wire, and the outcome once there is one.

    Any number may follow, each at its own pace; one that leaves changes nothing for the run.
    """

    def __init__(self, run_id: str, conversation_id: str, begins_after: int = 0) -> None:
        """`begins_after` is the last event that was told before the run came here."""
        self.id = run_id
        self.begins_after = begins_after
        self.conversation_id = conversation_id
        self._frames: list[bytes] = []
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._outcome: Outcome | None = None
        self.aborted: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        """Why the run is to end before its time, once it is. Not a cancel: that can be swallowed, this cannot."""

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    @property
    def next_number(self) -> int:
        return self.begins_after + len(self._frames) + 1

    def publish(self, *events: Event) -> None:
        """Hand the next events to everybody who follows. Their numbers are `next_number` and the following."""
        self._frames += [event.frame() for event in events]
        self._wake()

    def end(self, outcome: Outcome, *events: Event) -> None:
        """Publish the last events and the outcome."""
        self._outcome = outcome
        self._ended.set()
        self.publish(*events)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def abort(self, reason: ServiceError) -> None:
        """Have the run fail with `reason`, whatever it waits for; the first reason counts."""
        if not self.aborted.done():
            self.aborted.set_result(reason)

    async def result(self) -> Reply | Waiting:
        """Wait for the end, here. Raises the error the run failed with."""
        await self._ended.wait()
        if isinstance(self._outcome, Reply | Waiting):
            return self._outcome
        assert self._outcome is not None  # noqa: S101 - `end` sets it before the event
        raise self._outcome

    async def follow(self, heartbeat_seconds: float, seen: int = 0) -> AsyncIterator[bytes]:
        """All events after number `seen` to the last here, several at once where they are there, heartbeats between.

        `seen` is not before `begins_after`.
        """
        seen -= self.begins_after
        while True:
            if seen < len(self._frames):
                frames = self._some(seen)
                seen += len(frames)
                yield b"".join(frames)
            elif self.has_ended:
                return
            else:
                if not await self._wait_for_change(heartbeat_seconds):
                    yield HEARTBEAT

    def _some(self, seen: int) -> list[bytes]:
        """The next frames, at least one, and as many as may be joined."""
        end, size = seen + 1, len(self._frames[seen])
        while end < len(self._frames) and (size := size + len(self._frames[end])) <= _JOINED_BYTES:
            end += 1
        return self._frames[seen:end]

    async def _wait_for_change(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True
