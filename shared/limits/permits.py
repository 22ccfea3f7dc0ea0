"""Counts requests against a limit: never one too many, and seldom a round trip to the store.

A window is the same stretch of time for every process, because it is cut from the clock and its number is part of the
counter's name. A process leases a block of permits from the counter, which all replicas share, and spends it without
asking again; what is left over when the window ends is void. `FixedWindowRateLimiter.hit` of `limits` would count a
block that does not fit as used up; here the counter's own answer tells how much of the block does fit.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from math import ceil
from typing import Any, NamedTuple
from zlib import crc32

from limits import RateLimitItem
from limits.aio.storage import Storage
from redis.exceptions import RedisError

_log = logging.getLogger("shared.limits")
_MAX_WINDOWS = 20_000  # a few megabytes; a forgotten window costs its owner the rest of one block
_BLOCKS_PER_QUOTA = 200  # what a process that knows nothing of an owner leases: there may be many processes
_GROWTH = 3  # each lease in a window is so many times as large as all before it
_SHARE = 8  # of what nobody has leased, a process takes at most one in so many
# Five short waits, not one long: a busy event loop must not pass for a slow store.
_WAITS, _WAIT_SECONDS = 5, 0.05
_REST_SECONDS = 1.0
_WARNING_SECONDS = 10.0


class Limit:
    """A quota of requests in a window of some seconds, by a name that callers see."""

    def __init__(self, name: str, item: RateLimitItem) -> None:
        self.name, self.item = name, item
        self.quota, self.seconds = item.amount, item.get_expiry()
        self.block = max(1, self.quota // _BLOCKS_PER_QUOTA)
        self.policy = b'"%b";q=%d;w=%d' % (name.encode(), self.quota, self.seconds)
        self._standing = b'"%b";r=%%d;t=%%d' % name.encode()

    def standing(self, remaining: int, resets_in_seconds: int) -> bytes:
        """Its item of `RateLimit`."""
        return self._standing % (remaining, resets_in_seconds)


class Standing(NamedTuple):
    """What one request found. `remaining` counts what nobody has spent, as far as this process knows."""

    limit: Limit
    passed: bool
    remaining: int
    resets_in_seconds: int


class _Window:
    """What this process knows of one owner's window."""

    __slots__ = ("ends_at", "expected", "held", "item", "key", "leased", "lock", "starts_at", "unleased", "waiting")

    def __init__(self, limit: Limit, owner: str, now: float, before: "_Window | None") -> None:
        # Owners begin their windows at different moments, so that they do not all come back in the same second.
        offset = crc32(owner.encode()) % limit.seconds
        number = int(now + offset) // limit.seconds
        self.starts_at = number * limit.seconds - offset
        self.ends_at = self.starts_at + limit.seconds
        self.item = limit.item
        self.key = limit.item.key_for(limit.name, owner, number)
        self.expected: int = before.leased - before.held if before else 0
        self.leased: int = 0  # by this process
        self.held: int = 0  # of those, not spent
        self.unleased = limit.quota  # at our last look
        self.waiting = 0
        self.lock = asyncio.Lock()

    def next_block(self, limit: Limit) -> int:
        """As much as the owner spent in the window before, then ever more.

        So busy owners cost few round trips, and little is held that other processes may want.
        """
        wanted = _GROWTH * self.leased or self.expected
        return max(limit.block, self.waiting, min(wanted, self.unleased // _SHARE))


def _is_same(one: RateLimitItem, other: RateLimitItem) -> bool:
    return one is other or one == other


class Permits:
    """The permits that one process holds, from a `storage` that may fail: then nothing is counted."""

    def __init__(self, storage: Storage, clock: Callable[[], float] = time.time) -> None:
        self._storage, self._clock = storage, clock
        self._windows: dict[tuple[str, str], _Window] = {}
        self._failing = False
        self._rests_until = self._warned_at = float("-inf")

    async def take(self, limit: Limit, owner: str) -> Standing | None:
        """One permit, or a refusal; None when the storage cannot be asked."""
        while (standing := self.take_held(limit, owner)) is None:
            if self._rests() or not await self._lease(limit, self._window(limit, owner, self._clock())):
                return None
        return standing

    def take_held(self, limit: Limit, owner: str) -> Standing | None:
        """As `take`, without asking the storage: None when it takes a lease to know."""
        now = self._clock()
        window = self._window(limit, owner, now)
        passed = window.held > 0
        if passed:
            window.held -= 1
        elif window.unleased:
            return None
        return Standing(limit, passed, window.held + window.unleased, ceil(window.ends_at - now))

    def _window(self, limit: Limit, owner: str, now: float) -> _Window:
        name = (limit.name, owner)
        window = self._windows.get(name)
        # A clock may be set back, too, and a limit may be another by now.
        if window and window.starts_at <= now < window.ends_at and _is_same(window.item, limit.item):
            return window
        self._windows.pop(name, None)
        if len(self._windows) >= _MAX_WINDOWS:
            del self._windows[next(iter(self._windows))]  # the one that began longest ago
        window = self._windows[name] = _Window(limit, owner, now, before=window)
        return window

    async def _lease(self, limit: Limit, window: _Window) -> bool:
        """Get permits for everyone who waits for this window, once. False when the storage did not answer."""
        window.waiting += 1
        try:
            async with window.lock:
                if window.held or not window.unleased:
                    return True  # whoever had the lock leased for us as well
                if self._rests():
                    return False
                return await self._count(limit, window, window.next_block(limit))
        finally:
            window.waiting -= 1

    async def _count(self, limit: Limit, window: _Window, wanted: int) -> bool:
        if self._failing:  # this request finds out for the others
            self._rests_until = time.monotonic() + _REST_SECONDS
        try:
            # Kept for two windows: the clocks of replicas may differ, and a counter must outlive its window on each.
            counted = await _patiently(self._storage.incr(window.key, 2 * limit.seconds, wanted))
        except (RedisError, OSError, TimeoutError) as error:
            self._failing = True
            self._rests_until = time.monotonic() + _REST_SECONDS
            self._warn(error)
            return False
        self._failing, self._rests_until = False, float("-inf")
        window.unleased = max(0, limit.quota - counted)
        window.held = max(0, min(wanted, limit.quota - (counted - wanted)))
        window.leased += window.held
        return True

    def _rests(self) -> bool:
        return time.monotonic() < self._rests_until

    def _warn(self, error: BaseException) -> None:
        if time.monotonic() - self._warned_at >= _WARNING_SECONDS:
            self._warned_at = time.monotonic()
            _log.warning("requests pass without a limit", extra={"fields": {"cause": repr(error)}})


async def _patiently(call: Coroutine[Any, Any, int]) -> int:
    """The result of `call` within a quarter of a second. Raises TimeoutError."""
    task = asyncio.create_task(call)
    try:
        for _ in range(_WAITS):
            done, _pending = await asyncio.wait({task}, timeout=_WAIT_SECONDS)
            if done:
                return task.result()
        raise TimeoutError
    finally:
        task.cancel()
