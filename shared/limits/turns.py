"""Turns at something slow, taken source by source: a crowd from one place waits behind itself."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_Waiting = deque[asyncio.Future[None]]
_Line = OrderedDict[str, _Waiting]


class Turns:
    """`at_once` have a turn; up to `waiting` more wait, of one source at most `per_source`.

    Whoever waits is called in the order of the sources, one of each, and within a source in the order of arrival. So a
    newcomer waits for at most one turn of each source that is there. When the room is full, a source with fewer waiting
    takes the place of whoever came last of the source that has most.

    Those who come `ahead` stand in a line of their own, which has every second turn: of how many others there are they
    notice no more than that, and the others still come on.
    """

    def __init__(self, at_once: int, *, waiting: int, per_source: int) -> None:
        self._free = at_once
        self._waiting, self._per_source = waiting, per_source
        self._lines: tuple[_Line, _Line] = OrderedDict(), OrderedDict()  # and those ahead
        self._was_ahead = False

    def __len__(self) -> int:
        """How many wait."""
        return sum(len(queue) for line in self._lines for queue in line.values())

    @asynccontextmanager
    async def turn(self, source: str, refusal: Callable[[], Exception], *, ahead: bool = False) -> AsyncIterator[None]:
        """A turn through the block. Raises what `refusal` makes when too many wait."""
        try:
            await self.begin(source, ahead=ahead)
        except asyncio.QueueFull:
            raise refusal() from None
        try:
            yield
        finally:
            self.end()

    async def begin(self, source: str, *, ahead: bool = False) -> None:
        """Wait for a turn, and have it until `end`. Raises asyncio.QueueFull when too many wait."""
        if self._free:  # then nobody waits
            self._free -= 1
            return
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._make_room(source)
        self._lines[ahead].setdefault(source, deque()).append(called)
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled() and called.exception() is None:  # called, and gone
                self.end()
            raise
        finally:
            self._leave(self._lines[ahead], source, called)

    def end(self) -> None:
        """Give the turn to whoever is next."""
        while any(self._lines):
            line = self._next_line()
            source, queue = line.popitem(last=False)
            called = queue.popleft()
            if queue:
                line[source] = queue  # behind the other sources
            if not called.done():
                called.set_result(None)
                return
        self._free += 1

    def _next_line(self) -> _Line:
        others, ahead = self._lines
        self._was_ahead = bool(ahead) and not (self._was_ahead and others)
        return self._lines[self._was_ahead]

    def _make_room(self, source: str) -> None:
        mine = sum(len(line.get(source, ())) for line in self._lines)
        if mine >= self._per_source:
            raise asyncio.QueueFull
        if len(self) < self._waiting:
            return
        longest = max((queue for line in self._lines for queue in line.values()), key=len)
        if len(longest) <= mine + 1:
            raise asyncio.QueueFull
        displaced = longest.pop()
        if not displaced.done():  # it may have been given up a moment ago
            displaced.set_exception(asyncio.QueueFull())

    @staticmethod
    def _leave(line: _Line, source: str, called: asyncio.Future[None]) -> None:
        queue = line.get(source)
        if queue is not None and called in queue:
            queue.remove(called)
            if not queue:
                del line[source]
