"""How long ChromaDB's server is waited for with a write: less once it has said that its disk is full.

From then on it keeps some requests without an answer, also when there is room again, until it is restarted.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Wait:
    """One of them, while it is waited for."""

    def __init__(self, timeout: asyncio.Timeout, *, is_short: bool) -> None:
        self._timeout, self.is_short = timeout, is_short

    def shorten(self, latest: float) -> None:
        """Until then at most, by the loop's clock."""
        self.is_short = True
        if (when := self._timeout.when()) is not None and when > latest:
            self._timeout.reschedule(latest)


class Patience:
    """Of one server; for `seconds`, or for `when_full` after it was last heard to be full."""

    def __init__(self, seconds: float, when_full: float) -> None:
        self._seconds, self._when_full = seconds, when_full
        self._waits: set[Wait] = set()
        self.is_full = False
        """Whether it said so, and has taken no write since."""

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[Wait]:
        """Through one write. Raises TimeoutError."""
        async with asyncio.timeout(self._when_full if self.is_full else self._seconds) as timeout:
            wait = Wait(timeout, is_short=self.is_full)
            self._waits.add(wait)
            try:
                yield wait
            finally:
                self._waits.discard(wait)

    def heard_full(self) -> None:
        """Those who wait do not wait much longer either."""
        self.is_full = True
        latest = asyncio.get_running_loop().time() + self._when_full
        for wait in self._waits:
            wait.shorten(latest)

    def heard_room(self) -> None:
        self.is_full = False
