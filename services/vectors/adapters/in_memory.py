"""Which collections are in memory: brought there by the first who use them, once for all who wait, and taken from it.

They leave when nobody has used them for a while, and before that, those unused longest first, when others need their
room. What is being used stays; who needs more room than is left waits until somebody is done. What is used without a
pause would never be: after a moment it leaves all the same, between two uses.
"""

import asyncio
import contextlib
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from services.vectors.adapters.read_write import ReadWriteLock
from shared.errors import ServiceError
from shared.limits import Turns

_PATIENCE_SECONDS = 1.0


class InMemory(Protocol):
    """What is in memory of a collection."""

    @property
    def nbytes(self) -> int: ...

    @property
    def is_sound(self) -> bool:
        """Whether it still is what its file says. What is not leaves memory with the write that broke it."""


Opened = TypeVar("Opened", bound=InMemory)


@dataclass(frozen=True, slots=True)
class Opening(Generic[Opened]):
    """How a collection is brought into memory, and for whom; `size` is how many bytes it will have there."""

    key: str
    tenant_id: str
    size: Callable[[], Awaitable[int]]
    open: Callable[[], Awaitable[Opened]]


class _Place(Generic[Opened]):
    """Of one collection that is used, in memory, or on its way there."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.lock = ReadWriteLock()
        self.opened: Opened | None = None
        self.opened_at = 0.0
        """By the clock of the event loop."""
        self.loading: asyncio.Task[None] | None = None
        self.wanted = 0
        """Bytes that are kept free for it while it is loaded; 0 else."""
        self.users = 0
        self.used_at = 0.0

    @property
    def nbytes(self) -> int:
        return self.opened.nbytes if self.opened is not None else self.wanted

    @property
    def is_held(self) -> bool:
        return self.opened is not None or self.wanted > 0

    @property
    def is_idle(self) -> bool:
        """In memory, and nobody's."""
        return self.opened is not None and not self.users


class Collections(Generic[Opened]):
    """At most `most` of them and `most_bytes` in all; a single one that is larger has memory to itself."""

    def __init__(
        self,
        *,
        most: int,
        most_bytes: int,
        idle_seconds: float,
        close: Callable[[Opened], Awaitable[None]],
        loads: Turns,
        refusal: Callable[[], Exception],
        patience_seconds: float = _PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`loads` are the turns in which tenants load theirs, `refusal` what is raised when too many wait for one.

        With `idle_seconds` of 0 none leaves but for room, for which others wait `patience_seconds` while all are used.
        """
        self._most, self._most_bytes, self._idle_seconds = most, most_bytes, idle_seconds
        self._close_one, self._loads, self._refusal, self._clock = close, loads, refusal, clock
        self._patience_seconds = patience_seconds
        self._places: OrderedDict[str, _Place[Opened]] = OrderedDict()  # that used last at the end
        self._freed = asyncio.Event()

    @property
    def number(self) -> int:
        """How many are in memory."""
        return sum(place.opened is not None for place in self._places.values())

    @property
    def nbytes(self) -> int:
        """Of all that are in memory, or on their way there."""
        return sum(place.nbytes for place in self._places.values())

    def opened(self, key: str) -> Opened | None:
        """What is in memory of it at this moment; not to be used but under `reading` or `writing`."""
        place = self._places.get(key)
        return place.opened if place else None

    @asynccontextmanager
    async def reading(self, opening: Opening[Opened]) -> AsyncIterator[Opened]:
        """Many at once. Raises what `opening` does."""
        place = self._taken(opening.key)
        try:
            while True:
                await self._loaded(place, opening)
                async with place.lock.reading():
                    if place.opened is not None:  # else it was dropped in between
                        yield place.opened
                        return
        finally:
            self._give_back(place)

    @asynccontextmanager
    async def writing(self, opening: Opening[Opened]) -> AsyncIterator[Opened]:
        """One at a time, and no reader with it. Raises what `opening` does.

        It may have grown then: others that are unused leave for it.
        """
        place = self._taken(opening.key)
        try:
            is_done = False
            while not is_done:
                await self._loaded(place, opening)
                async with place.lock.writing(), self._sound(place):
                    if place.opened is not None:
                        yield place.opened
                        is_done = True
            await self._leave_room()
        finally:
            self._give_back(place)

    @asynccontextmanager
    async def looking(self, key: str) -> AsyncIterator[Opened | None]:
        """What is in memory of it; nobody writes to it meanwhile. To look is no use: it is not brought there."""
        place = self._places.get(key)
        if place is None:
            yield None
            return
        async with place.lock.reading():
            yield place.opened

    async def room_for(self, key: str, size: int) -> bool:
        """Whether it may grow by so many bytes, now that others that are unused for a moment have left for it.

        None leaves where that would not be enough. Nothing may have happened between True and its growth.
        """
        others = [place for place in self._places.values() if place.key != key and self._is_at_rest(place)]
        if self.nbytes + size - sum(place.nbytes for place in others) > self._most_bytes:
            return False
        for place in others:
            if self.nbytes + size <= self._most_bytes:
                break
            if self._is_at_rest(place):  # still: others have left before it
                await self._leave(place)
        return self.nbytes + size <= self._most_bytes

    def _is_at_rest(self, place: _Place[Opened]) -> bool:
        return place.is_idle and self._clock() - place.used_at >= self._patience_seconds

    @asynccontextmanager
    async def _sound(self, place: _Place[Opened]) -> AsyncIterator[None]:
        try:
            yield
        finally:
            if place.opened is not None and not place.opened.is_sound:
                await self._close(place)

    @asynccontextmanager
    async def without(self, key: str) -> AsyncIterator[None]:
        """Nothing of it is in memory, and nobody brings it there."""
        place = self._taken(key)
        try:
            async with place.lock.writing():
                await self._close(place)
                yield
        finally:
            self._give_back(place)

    async def close_idle(self) -> None:
        """Those that nobody has used for a while leave memory."""
        for place in [place for place in self._places.values() if place.is_idle]:
            if 0 < self._idle_seconds <= self._clock() - place.used_at:
                await self._leave(place)

    async def aclose(self) -> None:
        """Everything leaves memory."""
        if loading := [place.loading for place in self._places.values() if place.loading]:
            await asyncio.wait(loading)
        for place in list(self._places.values()):
            async with place.lock.writing():
                await self._close(place)

    def _taken(self, key: str) -> _Place[Opened]:
        place = self._places.setdefault(key, _Place(key))
        place.users += 1
        return place

    def _give_back(self, place: _Place[Opened]) -> None:
        place.users -= 1
        place.used_at = self._clock()
        self._places.move_to_end(place.key)
        self._tidy(place)

    def _tidy(self, place: _Place[Opened]) -> None:
        """Forgets it where there is nothing to remember, and wakes who waits for room."""
        is_known = self._places.get(place.key) is place  # else it was forgotten, and another has the key since
        if is_known and not (place.users or place.is_held or place.loading):
            del self._places[place.key]
        self._freed.set()

    async def _loaded(self, place: _Place[Opened], opening: Opening[Opened]) -> None:
        """Who goes away meanwhile ends nothing: whoever comes next finds it there."""
        while place.opened is None:
            is_mine = place.loading is None
            loading = place.loading = place.loading or asyncio.create_task(self._load(place, opening))
            if is_mine:
                loading.add_done_callback(lambda task: self._has_loaded(place, task))
            try:
                await asyncio.shield(loading)
            except ServiceError as error:
                if is_mine:
                    raise
                raise self._refusal() from error  # each request's error is its own

    def _has_loaded(self, place: _Place[Opened], task: asyncio.Task[None]) -> None:
        place.loading = None
        if not task.cancelled():
            task.exception()  # whoever waited has it; that nobody did is no news
        self._tidy(place)

    async def _load(self, place: _Place[Opened], opening: Opening[Opened]) -> None:
        async with place.lock.writing(), self._loads.turn(opening.tenant_id, self._refusal):
            size = max(1, await opening.size())
            await self._make_room(size)
            place.wanted = size  # before anything is waited for, or two would take the same room
            try:
                place.opened = await opening.open()
                place.opened_at = asyncio.get_running_loop().time()
            finally:
                place.wanted = 0

    async def _make_room(self, size: int) -> None:
        now = asyncio.get_running_loop().time
        until = now() + self._patience_seconds
        while not self._has_room(size):
            is_impatient = now() >= until
            leaving = self._unused_longest(now() - self._patience_seconds if is_impatient else None)
            if leaving is not None:
                await self._leave(leaving, is_used=is_impatient)
            elif is_impatient:  # what is there has just come
                until = now() + self._patience_seconds
            else:
                self._freed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await self._freed.wait()

    async def _leave_room(self) -> None:
        while self.nbytes > self._most_bytes and (idle := self._unused_longest()):
            await self._leave(idle)

    def _unused_longest(self, or_opened_before: float | None = None) -> _Place[Opened] | None:
        """Of those in memory that are idle, or were opened before then."""
        before = -math.inf if or_opened_before is None else or_opened_before
        places = (place for place in self._places.values() if place.opened is not None)
        return next((place for place in places if place.is_idle or place.opened_at <= before), None)

    def _has_room(self, size: int) -> bool:
        held = [place for place in self._places.values() if place.is_held]
        return not held or (len(held) < self._most and sum(place.nbytes for place in held) + size <= self._most_bytes)

    async def _leave(self, place: _Place[Opened], *, is_used: bool = False) -> None:
        """With `is_used` after those who use it now, and before those who wait to: they bring it back."""
        async with place.lock.writing():
            if is_used or place.is_idle:  # who came in between finds it there
                await self._close(place)
        self._tidy(place)

    async def _close(self, place: _Place[Opened]) -> None:
        opened, place.opened = place.opened, None
        if opened is not None:
            await self._close_one(opened)
