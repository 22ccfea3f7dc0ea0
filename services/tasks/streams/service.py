"""Following tasks: each stream reads the table from where its client was, and again whenever there is news."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson

from services.tasks.domain import TRANSITIONS, TaskStatus
from services.tasks.errors import EventUnknown, StreamsFull
from services.tasks.models import TaskEvent
from services.tasks.service import TaskService
from services.tasks.streams.news import News
from services.tasks.streams.repository import EventRepository, Position
from services.tasks.visibility import submitter_of
from shared.errors import Unavailable
from shared.identity import Authenticator, Caller
from shared.limits import Place, Shares
from shared.postgres import Database
from shared.schemas import rfc3339
from shared.web import HEARTBEAT, Listener, event_frame

_AT_ONCE: Final = 16  # events that one follower holds: of log lines these are some 100 KB
_READERS: Final = 8  # of the connections to PostgreSQL, which all requests share
_FINAL: Final = frozenset(f"task.{status}" for status in TaskStatus if not TRANSITIONS[status])

Stream = tuple[AsyncIterator[bytes], Place, Listener]
"""What `Followed` is made of: frames, the place that they hold, and who hears them."""


class StreamService:
    """Streams end without a final event when the caller's token ends or is revoked, this process stops or PostgreSQL
    is away: the client comes again with the last id it heard, here or elsewhere."""

    def __init__(
        self,
        database: Database,
        tasks: TaskService,
        news: News,
        authenticator: Authenticator,
        *,
        heartbeat_seconds: float,
        max_streams: int,
    ) -> None:
        self._database, self._tasks, self._news, self._authenticator = database, tasks, news, authenticator
        self._heartbeat_seconds = heartbeat_seconds
        self._places = Shares("streams of events", max_streams)
        self._reading = asyncio.Semaphore(_READERS)

    async def follow_task(self, caller: Caller, task_id: str, seen: int) -> Stream | None:
        """The events behind number `seen`; None when there are and will be no more.

        Raises TaskNotFound, EventUnknown, ShareTaken, StreamsFull, Unavailable.
        """
        task = await self._tasks.get(caller, task_id)
        if seen > task.event_number:
            raise EventUnknown(str(seen))
        if seen == task.event_number and not TRANSITIONS[TaskStatus(task.status)]:
            return None
        place = self._place(caller)
        return self._of_task(caller, task_id, seen), place, Listener(caller, self._authenticator)

    async def follow_all(self, caller: Caller, after: str | None) -> Stream:
        """The events of all tasks that the caller sees, behind `after` or from now on.

        Raises EventUnknown, ShareTaken, StreamsFull, Unavailable.
        """
        async with self._database.statements() as session:
            now = Position(await EventRepository(session).horizon(), 0)
        position = now if after is None else Position(*map(int, after.split("-")))
        if position > now:
            raise EventUnknown(str(after))
        place = self._place(caller)
        return self._of_all(caller, position), place, Listener(caller, self._authenticator)

    def _place(self, caller: Caller) -> Place:
        place = self._places.take(caller.tenant_id, caller.subject)
        if place is None:
            raise StreamsFull
        return place

    async def _of_task(self, caller: Caller, task_id: str, seen: int) -> AsyncIterator[bytes]:
        ends_at = _end_of(caller)
        with self._news.following(caller.tenant_id, task_id=task_id) as follower:
            while not self._is_over(ends_at):
                follower.arm()
                try:
                    async with self._reading, self._database.statements() as session:
                        found = await EventRepository(session).list_of_task(task_id, after=seen, limit=_AT_ONCE)
                except Unavailable:
                    return
                if found:
                    seen = found[-1].number
                    yield b"".join(_frame(event.number, event) for event in found)
                    if found[-1].type in _FINAL:
                        return
                if len(found) < _AT_ONCE and not await follower.wait(self._silence(ends_at)):
                    yield HEARTBEAT

    async def _of_all(self, caller: Caller, position: Position) -> AsyncIterator[bytes]:
        """Where all was read the heartbeat names that position, so that who comes again begins there."""
        user_id, ends_at = submitter_of(caller), _end_of(caller)
        with self._news.following(caller.tenant_id, user_id) as follower:
            yield _place_frame(position)
            while not self._is_over(ends_at):
                follower.arm()
                try:
                    found, horizon = await self._read(caller.tenant_id, user_id, position)
                except Unavailable:
                    return
                if found:
                    position = Position(found[-1].xid, found[-1].id)
                    yield b"".join(_frame(Position(event.xid, event.id), event) for event in found)
                if len(found) < _AT_ONCE:
                    position = max(position, Position(horizon, 0))
                    if not await follower.wait(self._silence(ends_at)):
                        yield _place_frame(position)

    async def _read(self, tenant_id: str, user_id: str | None, position: Position) -> tuple[list[TaskEvent], int]:
        async with self._reading, self._database.statements() as session:
            events = EventRepository(session)
            horizon = await events.horizon()
            found = await events.list_of_all(tenant_id, user_id, after=position, horizon=horizon, limit=_AT_ONCE)
        return found, horizon

    def _is_over(self, ends_at: float) -> bool:
        return self._news.is_closing or time.monotonic() >= ends_at

    def _silence(self, ends_at: float) -> float:
        return max(0.0, min(self._heartbeat_seconds, ends_at - time.monotonic()))


def _end_of(caller: Caller) -> float:
    """When the caller's token ends, on the monotonic clock: who was shut out does not listen on."""
    return time.monotonic() + caller.expires_at - time.time()


def _place_frame(position: Position) -> bytes:
    """A comment that names where the client is: an `EventSource` keeps the id and hears no event."""
    return b"id: %b\n" % str(position).encode() + HEARTBEAT


def _frame(event_id: int | Position, event: TaskEvent) -> bytes:
    members: dict[str, Any] = {"task_id": event.task_id, "submitted_by": event.user_id, "at": rfc3339(event.at)}
    return event_frame(str(event_id), event.type, orjson.dumps(members | event.body))
