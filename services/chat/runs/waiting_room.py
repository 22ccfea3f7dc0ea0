"""Where turns of this process wait for their turn, and are called when it has come.

Whose turn it is a script of Redis decides (`queue_scripts.TAKE`): here is only asked, of all that wait at once and some
times a second, whether that may have changed, so it does not matter which replica ended the run before, or how.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from services.chat.domain import Turn
from services.chat.runs.leases import RENEW_AGAIN_SECONDS
from services.chat.runs.queue import QueueRepository
from shared.identity import Authenticator, Caller
from shared.loops import in_background, keep

_log = logging.getLogger("chat.runs")
_LOOK_SECONDS: Final = 0.2


class Waiter:
    """One turn that waits: `called` returns when it may have come, and at once for the first time."""

    def __init__(self, turn: Turn) -> None:
        self.turn, self._is_called = turn, asyncio.Event()

    def call(self) -> None:
        self._is_called.set()

    async def called(self) -> None:
        """Each call ends one wait, also one that comes before it."""
        await self._is_called.wait()
        self._is_called.clear()


class WaitingRoom:
    """The turns that wait in this process."""

    def __init__(self, queue: QueueRepository, authenticator: Authenticator) -> None:
        self._queue, self._authenticator = queue, authenticator
        self._waiters = set[Waiter]()

    @property
    def seconds(self) -> float:
        """How long one waits at most."""
        return self._queue.seconds

    @contextmanager
    def waiter(self, turn: Turn) -> Iterator[Waiter]:
        """A place for the turn, which is held in Redis for as long as the block runs."""
        waiter = Waiter(turn)
        waiter.call()
        self._waiters.add(waiter)
        try:
            yield waiter
        finally:
            self._waiters.discard(waiter)

    async def require(self, caller: Caller) -> None:
        """Raises Unauthenticated where the token has ended, or was revoked, while its message waited."""
        await self._authenticator.recognise(caller)

    async def look(self) -> None:
        """Call those whose turn may have come, or whose run has ended. Raises Unavailable."""
        waiters = list(self._waiters)
        if not waiters:
            return
        places = await self._queue.look([waiter.turn for waiter in waiters])
        for waiter, place in zip(waiters, places, strict=True):
            if place.is_called:
                waiter.call()

    async def hold(self) -> None:
        """Say that those who wait here are looked after. Raises Unavailable."""
        if self._waiters:
            await self._queue.hold([waiter.turn for waiter in self._waiters])


@asynccontextmanager
async def open_waiting_room(
    queue: QueueRepository, authenticator: Authenticator, ended: asyncio.Event, lease_seconds: float
) -> AsyncIterator[WaitingRoom]:
    """A waiting room that is looked into as long as the block runs, and at once when a run has `ended` here."""
    room, every = WaitingRoom(queue, authenticator), lease_seconds / 3
    async with in_background(
        keep(room.look, log=_log, every_seconds=_LOOK_SECONDS, retry_seconds=_LOOK_SECONDS, wake=ended),
        keep(room.hold, log=_log, every_seconds=every, retry_seconds=min(every, RENEW_AGAIN_SECONDS)),
    ):
        yield room
