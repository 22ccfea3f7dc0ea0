"""Follows a run through Redis: one that is executed by another replica, or that has ended."""

import asyncio
import time
from collections.abc import AsyncIterator

from services.chat.domain import Owner, Reply
from services.chat.errors import Interrupted, RunNotFound
from services.chat.runs.events import COMPLETED, FINAL, HEARTBEAT, MESSAGE, Event, failed, replied
from services.chat.runs.journal import PATIENCE_SECONDS
from services.chat.runs.repository import RunRepository, Status
from shared.errors import ServiceError, Unavailable

_WAIT_MS = 1_000
_CHECK_SECONDS = 1.0  # with the lease of a run: how long a dead one is waited for
_PAUSE_SECONDS = 0.2


class StoredRun:
    """The events of one run as they lie in Redis, for one follower."""

    def __init__(
        self,
        repository: RunRepository,
        owner: Owner,
        run_id: str,
        conversation_id: str,
        *,
        check_seconds: float = _CHECK_SECONDS,
    ) -> None:
        self._repository, self._owner, self._check_seconds = repository, owner, check_seconds
        self.id, self._conversation_id = run_id, conversation_id
        self._seen = 0
        self._checked_at = time.monotonic()
        self._is_over = False

    async def follow(self, heartbeat_seconds: float) -> AsyncIterator[bytes]:
        """All events from the first to the last, with heartbeats between; a final event always.

        A run whose process died is ended here, for everybody.
        """
        sent_at = time.monotonic()
        try:
            async for events in self._events():
                if events:
                    yield b"".join(event.frame() for event in events)
                    sent_at = time.monotonic()
                elif time.monotonic() - sent_at >= heartbeat_seconds:
                    yield HEARTBEAT
                    sent_at = time.monotonic()
        except ServiceError as error:  # the answer is under way: its last event is the only place left to say so
            error.members.update(run_id=self.id, conversation_id=self._conversation_id)
            yield failed(self._seen + 1, error).frame()

    async def result(self) -> Reply:
        """Wait for the end. Raises Interrupted for a run that failed: then the message is to be sent again."""
        last: dict[str, bytes] = {}
        async for events in self._events():
            last.update({event.type: event.data for event in events})
        if COMPLETED in last:
            return replied(last[MESSAGE], last[COMPLETED])
        raise self._interrupted()

    async def _events(self) -> AsyncIterator[list[Event]]:
        """All events, as they come, until the last one; none where nothing came for a while."""
        while True:
            events = await self._read()
            yield events
            if events and events[-1].type in FINAL:
                return
            await self._check(heard=bool(events))

    async def is_failed(self) -> bool:
        """Whether it has ended without an answer, as it has when its process is gone. Raises RunNotFound."""
        status = await self._end_if_abandoned()
        if status == "gone":
            raise RunNotFound
        return status == "failed"

    async def _read(self) -> list[Event]:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                events = await self._repository.read(self._owner, self.id, self._seen, _WAIT_MS)
            except Unavailable:
                if time.monotonic() >= give_up_at:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self._seen = events[-1].number if events else self._seen
            return events

    async def _check(self, *, heard: bool) -> None:
        """Now and then, whether a silent run is still executed anywhere. Raises RunNotFound for one without an end."""
        if heard or time.monotonic() - self._checked_at < self._check_seconds:
            return
        if self._is_over:
            raise RunNotFound
        self._checked_at = time.monotonic()
        # Its final event is there once it is over, so the next read brings it.
        self._is_over = await self._end_if_abandoned() != "running"

    async def _end_if_abandoned(self) -> Status:
        data = failed(0, self._interrupted()).data
        return await self._repository.end_if_abandoned(self._owner, self.id, self._conversation_id, data)

    def _interrupted(self) -> Interrupted:
        error = Interrupted()
        error.members.update(run_id=self.id, conversation_id=self._conversation_id)
        return error
