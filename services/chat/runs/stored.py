"""Follows a run through Redis: one that is executed by another replica, or that has ended."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

from services.chat.domain import Owner, Reply, Waiting
from services.chat.errors import Interrupted, RunCancelled, RunNotFound
from services.chat.runs.events import (
    CANCELLED,
    COMPLETED,
    FINAL,
    MESSAGE,
    WAITING,
    Event,
    failed,
    replied,
    until_final,
)
from services.chat.runs.journal import PATIENCE_SECONDS
from services.chat.runs.repository import UNENDED, RunRepository, Status
from services.chat.runs.tails import Tail, Tails
from services.chat.storage import Keys
from shared.errors import ServiceError, Unavailable
from shared.web import HEARTBEAT

_CHECK_SECONDS = 3.0  # with the lease of a run: how long a dead one is waited for
_PAUSE_SECONDS = 0.2


class StoredRun:
    """The events of one run as they lie in Redis, for one follower, who has seen the first `seen` of them."""

    def __init__(
        self,
        repository: RunRepository,
        tails: Tails,
        owner: Owner,
        run_id: str,
        conversation_id: str,
        *,
        seen: int = 0,
        check_seconds: float = _CHECK_SECONDS,
    ) -> None:
        self._repository, self._tails, self._owner = repository, tails, owner
        self.id, self._conversation_id = run_id, conversation_id
        self._seen, self._check_seconds = seen, check_seconds
        self._newest = ""
        self._is_over = False

    async def follow(self, heartbeat_seconds: float, *, is_resumable: bool = False) -> AsyncIterator[bytes]:
        """All events to the last, with heartbeats between; a final event always.

        A run whose process died is ended here, for everybody. One who can come again (`is_resumable`) is let go without
        a final event where this process stops or loses Redis: they hear the rest elsewhere, or later.
        """
        sent_at = time.monotonic()
        try:
            async for events in self._events(heartbeat_seconds):
                if events:
                    yield b"".join(event.frame() for event in events)
                    sent_at = time.monotonic()
                elif time.monotonic() - sent_at >= heartbeat_seconds:
                    yield HEARTBEAT
                    sent_at = time.monotonic()
                if is_resumable and self._tails.is_closing:
                    return
                if not is_resumable and not events and await self._find_waiting():
                    return  # as where it was executed: a stream of a message ends when its run lies down
        except ServiceError as error:
            if is_resumable and isinstance(error, Unavailable):
                return
            # The answer is under way: its last event is the only place left to say so.
            error.members.update(run_id=self.id, conversation_id=self._conversation_id)
            yield failed(self._seen + 1, error).frame()

    async def result(self) -> Reply | Waiting:
        """Wait for the end, or until it waits itself. Raises RunCancelled, and Interrupted for a run that failed: it is
        to be sent again."""
        last: dict[str, bytes] = {}
        async for events in self._events(self._check_seconds):
            last.update({event.type: event.data for event in events})
            if not events and (waiting := await self._find_waiting()):
                return waiting
        if COMPLETED in last:
            return replied(last[MESSAGE], last[COMPLETED])
        if CANCELLED in last:
            raise RunCancelled(members={"run_id": self.id, "conversation_id": self._conversation_id})
        raise self._interrupted()

    async def _find_waiting(self) -> Waiting | None:
        """What it waits for now, where the last event that was read says that it waits."""
        if self._newest != WAITING:
            return None
        return (await self._repository.get(self._owner, self.id)).waiting

    async def _events(self, silence_seconds: float) -> AsyncIterator[list[Event]]:
        """All events, as they come, until the last one; none where nothing came for a while."""
        with self._tails.at(Keys(self._owner).events(self.id), self._seen) as tail:
            is_rung = False
            while True:
                tail.arm(self._seen)
                events = await self._read()
                yield events
                if events and events[-1].type in FINAL:
                    return
                if not events:
                    if self._is_over:
                        raise RunNotFound
                    if not is_rung:
                        await self._tails.ring()
                        is_rung = True
                    await self._wait(tail, silence_seconds)

    async def _wait(self, tail: Tail, seconds: float) -> None:
        """Until something is written. A silent run is looked after now and then: is it still executed anywhere?"""
        if not await tail.wait(min(seconds, self._check_seconds)):
            # Its final event is there once it is over, so the next read brings it.
            with suppress(Unavailable):  # which the next read has the patience for
                self._is_over = await self._end_if_abandoned() not in UNENDED

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
                events = until_final(await self._repository.read(self._owner, self.id, self._seen))
            except Unavailable:
                if time.monotonic() >= give_up_at:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if events:
                self._seen, self._newest = events[-1].number, events[-1].type
            return events

    async def _end_if_abandoned(self) -> Status:
        return await self._repository.end_if_abandoned(self._owner, self.id, self._conversation_id)

    def _interrupted(self) -> Interrupted:
        error = Interrupted()
        error.members.update(run_id=self.id, conversation_id=self._conversation_id)
        return error
