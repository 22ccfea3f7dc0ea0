"""Hears of everything that is written for this process elsewhere: events of runs that are followed here, and orders.

One task reads, over one connection, however many follow however many runs: it waits at the ends of all their streams at
once and wakes whoever follows. These read for themselves, so nothing is held for one who is slow. Orders come through a
stream of this process, its inbox, which also ends the wait when another run is to be followed.

One command names streams of many users, so unlike everything else of chat this needs a server that is no cluster.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from redis.asyncio import Redis

from shared.errors import Unavailable
from shared.health import Health
from shared.loops import in_background, keep
from shared.redis import redis_errors
from shared.schemas import new_id

_log = logging.getLogger("chat.runs")
_WAIT_MS = 3_000
_RETRY_SECONDS = 0.5
_DRAIN_CHECK_SECONDS = 0.25
_INBOX_ENTRIES = 1_000
_INBOX_SECONDS = 600
# Each time all streams are named anew: the more there are, the longer events are gathered before.
_PAUSE_SECONDS = 0.005
_PAUSE_SECONDS_EACH = 0.000_05
_CANCEL, _RING = b"cancel", b"ring"


class _Stream:
    """One stream that is followed here, by as many as there are."""

    __slots__ = ("followers", "position", "written")

    def __init__(self, position: int) -> None:
        self.followers, self.position, self.written = 0, position, asyncio.Event()

    def wake(self) -> None:
        written, self.written = self.written, asyncio.Event()
        written.set()


class Tail:
    """The end of one stream, for one follower: `arm`, read the stream, and where nothing was there, `wait`."""

    def __init__(self, stream: _Stream) -> None:
        self._stream, self._written = stream, stream.written

    def arm(self, seen: int) -> None:
        """What is written from now on ends the next `wait`. `seen` is the last event that was read."""
        if seen > self._stream.position:  # the listener will not come past what others here have not read yet
            self._stream.position = seen
            self._stream.wake()
        self._written = self._stream.written

    async def wait(self, seconds: float) -> bool:
        """Whether something was written, within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._written.wait()
        except TimeoutError:
            return False
        return True


class Tails:
    """The ends of the streams that are followed here, and the inbox of this process."""

    def __init__(self, redis: Redis, cancel: Callable[[str], None]) -> None:
        """`cancel` is told the id of a run that was cancelled elsewhere and may be executed here."""
        self._redis, self._cancel = redis, cancel
        self._streams: dict[str, _Stream] = {}
        self.inbox = f"chat:inbox:{new_id()}"
        self._heard = "0-0"
        self._is_waiting = False
        self.is_closing = False
        """Whether this process is about to stop: whoever can follow elsewhere is to do so."""

    def __len__(self) -> int:
        return len(self._streams)

    @contextmanager
    def at(self, name: str, seen: int) -> Iterator[Tail]:
        """The end of the stream `name`, of which event `seen` was read, as long as the block runs."""
        stream = self._streams.setdefault(name, _Stream(seen))
        stream.followers += 1
        try:
            yield Tail(stream)
        finally:
            stream.followers -= 1
            if not stream.followers:
                del self._streams[name]

    async def ring(self) -> None:
        """Have a stream that has come last heard at once, and not only after the present wait. Never raises."""
        if self._is_waiting:
            self._is_waiting = False  # once is enough for all who come meanwhile
            try:
                await self._put(self.inbox, {_RING: b""})
            except Unavailable as error:
                _log.warning("not heard at once", extra={"fields": {"cause": repr(error.__cause__)}})

    async def tell_cancelled(self, inbox: str, run_id: str) -> None:
        """Have the process with this inbox stop working on the run. Never raises: it hears of the end anyway, later."""
        try:
            await self._put(inbox, {_CANCEL: run_id.encode()})
        except Unavailable as error:
            _log.warning("cancel not told", extra={"fields": {"run_id": run_id, "cause": repr(error.__cause__)}})

    async def _put(self, inbox: str, fields: dict[Any, Any]) -> None:
        with redis_errors():
            async with self._redis.pipeline() as pipeline:
                pipeline.xadd(inbox, fields, maxlen=_INBOX_ENTRIES, approximate=True)
                pipeline.expire(inbox, _INBOX_SECONDS)
                await pipeline.execute()

    async def listen(self) -> None:
        """Never returns. A Redis that is away is waited for: whoever follows finds that out by itself."""
        await keep(self._hear, log=_log, every_seconds=0.0, retry_seconds=_RETRY_SECONDS)

    async def _hear(self) -> bool:
        places: dict[Any, Any] = {self.inbox: self._heard}
        places |= {name: f"{stream.position}-0" for name, stream in self._streams.items()}
        self._is_waiting = True
        try:
            with redis_errors():
                answer: Any = await self._redis.xread(places, count=1, block=_WAIT_MS)
        finally:
            self._is_waiting = False
        for name, entries in answer or ():
            entry_id, fields = entries[-1]
            self._take(name.decode(), entry_id.decode(), fields)
        if answer:
            await asyncio.sleep(_PAUSE_SECONDS + _PAUSE_SECONDS_EACH * len(self._streams))
        return True

    def _take(self, name: str, entry_id: str, fields: dict[bytes, bytes]) -> None:
        if name == self.inbox:
            self._heard = entry_id
            if _CANCEL in fields:
                self._cancel(fields[_CANCEL].decode())
        elif stream := self._streams.get(name):
            stream.position = max(stream.position, int(entry_id.partition("-")[0]))
            stream.wake()

    async def drain(self, health: Health) -> None:
        """When the instance leaves the balancers, have those go elsewhere who can."""
        while not health.draining:  # noqa: ASYNC110 - a flag of the machinery, without an event to wait for
            await asyncio.sleep(_DRAIN_CHECK_SECONDS)
        self.is_closing = True
        for stream in self._streams.values():
            stream.wake()


@asynccontextmanager
async def open_tails(redis: Redis, health: Health, cancel: Callable[[str], None]) -> AsyncIterator[Tails]:
    """Tails that are listened at as long as the block runs. `redis` is a client of their own: reading holds one of its
    connections all the time."""
    tails = Tails(redis, cancel)
    async with in_background(tails.listen(), tails.drain(health)):
        yield tails
