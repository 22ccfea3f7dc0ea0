"""Writes the events of one run: into Redis first, then to those who follow it here.

In that order nobody is ever shown an event that another replica would not have, whatever dies in between.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import orjson

from services.chat.domain import Message, Reply, Turn, Waiting
from services.chat.errors import ConversationNotFound, Interrupted, RunCancelled
from services.chat.runs.beginning import RunKey
from services.chat.runs.events import (
    CANCELLED,
    COMPLETED,
    LEFT,
    WAITING,
    Event,
    completed,
    failed,
    replied,
    started,
    until_final,
    waiting_from,
    waiting_members,
)
from services.chat.runs.live import LiveRun, Outcome
from services.chat.runs.pauses import PauseRepository
from services.chat.runs.queue import QueueRepository
from services.chat.runs.repository import RunRepository
from shared.ending import end, within
from shared.errors import ServiceError, Unavailable

_log = logging.getLogger("chat.runs")
PATIENCE_SECONDS = 8.0
"""A Redis that restarts is back within it, and whoever waits is told within ten: every write here may be made twice."""
_PAUSE_SECONDS = 0.2
_BEHIND_SECONDS = 1.0
STORE_SECONDS = 20.0
"""After which the end of a run is told to those who follow it, stored or not: patience, and one command more."""
Result = TypeVar("Result")
Joined = Callable[[Turn, Sequence[Event]], Sequence[Message]]
"""The messages that a conversation gets of a run whose history its caller gave, made of all its events."""


def nothing_joined(_turn: Turn, _events: Sequence[Event]) -> Sequence[Message]:
    """What it gets where no door gives a whole history in one."""
    return []


class Journal:
    """The events of `turn`, numbered in the order they are written."""

    def __init__(
        self,
        repository: RunRepository,
        pauses: PauseRepository,
        queue: QueueRepository,
        turn: Turn,
        live: LiveRun,
        joined: Joined = nothing_joined,
    ) -> None:
        """`joined`: what a conversation gets of a turn whose history its caller gave."""
        self._repository, self._pauses, self._queue, self._turn, self._live = repository, pauses, queue, turn, live
        self._joined = joined
        self._is_queued = False
        self._patience_seconds = PATIENCE_SECONDS
        self._writing = asyncio.Lock()  # calls that are made together tell of themselves together
        self._behind: asyncio.Task[None] | None = None

    async def begin(self, key: RunKey | None) -> None:
        """Claim the conversation and keep the question. Raises what RunRepository.start raises; then nothing is kept.

        Tried once: nothing has begun, and somebody waits to hear so.
        """
        event = started(self._turn)
        await self._repository.start(self._turn, event, key)
        self._live.publish(event)

    async def enqueue(self, key: RunKey | None) -> None:
        """Have the turn wait, behind those that do. As `begin`, and raises what QueueRepository.enqueue raises.

        Where only the answer was lost it stands in the queue, and nobody is there to take its turn: it leaves, if
        that can be said at once; else it is missed later.
        """
        try:
            event = await self._queue.enqueue(self._turn, key)
        except Unavailable:
            with suppress(Unavailable):
                await self._queue.fail(self._turn, failed(self._live.next_number + 1, Interrupted()))
            raise
        self._is_queued = True
        self._live.publish(event)

    async def take(self) -> bool:
        """Whether the turn that waited has come, and has begun.

        Raises ConversationNotFound when it was deleted meanwhile, Interrupted when others have ended the run (`fail`
        finds how), Unavailable without Redis, and then it may be asked again.
        """
        answer = await self._queue.take(self._turn)
        if answer == "wait":
            return False
        if answer != "ok":
            raise ConversationNotFound if answer == "gone" else Interrupted
        self._is_queued = False
        self._live.publish(started(self._turn, self._live.next_number))
        return True

    async def write(self, event_type: str, data: dict[str, Any]) -> None:
        """The next event. Raises ConversationNotFound when it was deleted meanwhile, Interrupted when others have ended
        the run (`fail` finds how), Unavailable without Redis; and what the event before raised that was written behind.
        """
        await self._caught_up()
        await self._write(event_type, data)

    def write_behind(self, event_type: str, data: dict[str, Any]) -> None:
        """The next event, which is stored while its writer goes on: whatever comes next comes after it.

        Calls that are made together may each write one so: none of them is told where the one before was not stored.
        """
        self._behind = asyncio.create_task(self._write_after(self._behind, event_type, data))

    async def _write_after(self, before: asyncio.Task[None] | None, event_type: str, data: dict[str, Any]) -> None:
        if before:
            await before
        await self._write(event_type, data)

    async def _caught_up(self) -> None:
        if self._behind:
            await asyncio.wait({self._behind})
            self._behind.result()

    async def _write(self, event_type: str, data: dict[str, Any]) -> None:
        async with self._writing:
            event = Event(self._live.next_number, event_type, orjson.dumps(data))
            stored = await self._patiently(lambda: self._repository.append(self._turn, event))
            if stored != "ok":
                raise ConversationNotFound if stored == "gone" else Interrupted
            self._live.publish(event)

    async def complete(self, reply: Reply) -> None:
        """Store the answer and end the run; what its conversation gets is stored with it.

        Raises ConversationNotFound when it was deleted meanwhile, Interrupted when the run was given up as abandoned,
        Unavailable without Redis; then nothing is stored.
        """
        await self._caught_up()
        events = completed(self._live.next_number, reply)
        messages = await self._patiently(lambda: self._said(reply, events))
        status = await self._patiently(lambda: self._repository.end(self._turn, "completed", events, messages))
        if status != "completed":
            raise ConversationNotFound if status == "gone" else Interrupted
        self._live.end(reply, *events)

    async def _said(self, reply: Reply, last: list[Event]) -> Sequence[Message]:
        """The messages that the conversation gets: of one that is told whole by its caller those of its door."""
        turn = self._turn
        if turn.given is None:
            return [reply.message]
        if turn.is_alone:  # whose answer stands in its events, and nowhere else
            return []
        return self._joined(turn, [*await self._repository.read_all(turn.owner, turn.run_id), *last])

    async def pause(self, waiting: Waiting, loop: bytes) -> None:
        """Lay the run down with `run.waiting`. Raises what PauseRepository.pause raises; then it is not laid down."""
        await self._caught_up()
        event = Event(self._live.next_number, WAITING, orjson.dumps(waiting_members(waiting)))
        await self._patiently(lambda: self._pauses.pause(self._turn, event, waiting, loop))
        self._live.end(waiting, event)

    async def fail(self, error: ServiceError) -> Outcome:
        """End the run with `run.failed`; it carries the ids, and so does `error` for whoever raises it.

        Where it has ended before, that end is the last word: RunCancelled, Interrupted when others gave it up as
        abandoned, or the answer when only Redis' word of its storing was lost. Answers what it was.
        """
        error.members.update(self._turn.ids)
        await self._left_behind()
        own = failed(self._live.next_number, error)
        events = [own]
        try:
            events = await within(STORE_SECONDS, self._patiently(lambda: self._stored_end(own))) or events
        except (Unavailable, TimeoutError) as cause:  # its followers here are told; elsewhere the lease runs out
            _log.warning("end of run not stored", extra={"fields": {**self._turn.ids, "cause": repr(cause.__cause__)}})
        finally:
            outcome = self._outcome(events, own, error)
            self._live.end(outcome, *events)
        return outcome

    async def _left_behind(self) -> None:
        """What is written behind is stored, if that is soon done; where it is stored and not told, the end tells it."""
        if self._behind:
            await asyncio.wait({self._behind}, timeout=_BEHIND_SECONDS)
            await end(self._behind, within_seconds=_BEHIND_SECONDS)
            if self._behind.done() and not self._behind.cancelled():
                self._behind.exception()  # which has ended the run, or would have

    async def _stored_end(self, own: Event) -> list[Event]:
        """Store the last event, unless it has ended. What stands in Redis that nobody here was told yet."""
        told = self._live.next_number - 1
        if not self._is_queued or await self._queue.fail(self._turn, own) == "running":
            await self._repository.end(self._turn, "failed", [own])
        return until_final(await self._repository.read(self._turn.owner, self._turn.run_id, told), LEFT)

    def _outcome(self, events: list[Event], own: Event, error: ServiceError) -> Outcome:
        """What the last of `events` says; `error` where that is the run's `own` end."""
        last = events[-1]
        if last.type == COMPLETED:  # stored with the answer at once, and none of the two was told
            return replied(events[-2].data, last.data)
        if last.type == WAITING:  # it lay there, and only Redis' word of that was lost
            return waiting_from(last.data)
        if last.type == CANCELLED:
            return RunCancelled(members=self._turn.ids)
        if last.data == own.data:
            return error
        interrupted = Interrupted()
        interrupted.members.update(self._turn.ids)
        return interrupted

    async def _patiently(self, write: Callable[[], Awaitable[Result]]) -> Result:
        """As `patiently`, with the patience that this run has left."""
        try:
            return await patiently(write, self._patience_seconds)
        except Unavailable:
            self._patience_seconds = 0.0  # the run is lost: its end is tried once
            raise


async def patiently(write: Callable[[], Awaitable[Result]], seconds: float = PATIENCE_SECONDS) -> Result:
    """The result of `write`, tried again while Redis is away. Raises Unavailable when it stays away."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + seconds
    while True:
        try:
            return await write()
        except Unavailable:
            if loop.time() >= give_up_at:
                raise
        await asyncio.sleep(_PAUSE_SECONDS)
