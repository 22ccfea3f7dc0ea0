"""Keeps the last value for a moment and lets only one caller at a time make a new one."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Cached(Generic[T]):
    """A value that costs calls to others. Callers who come while it is made wait for it; an error is not kept."""

    def __init__(self, make: Callable[[], Awaitable[T]], seconds: Callable[[T], float]) -> None:
        self._make = make
        self._seconds = seconds  # how long this very value may be kept
        self._value: T | None = None
        self._expires_at = 0.0
        self._lock = asyncio.Lock()

    async def get(self) -> T:
        """Raises what making it raised."""
        async with self._lock:
            if self._value is None or time.monotonic() >= self._expires_at:
                self._value = await self._make()
                self._expires_at = time.monotonic() + self._seconds(self._value)
            return self._value
