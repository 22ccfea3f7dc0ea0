"""What many wait for at once, and one of them asks auth for."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from shared import deadlines
from shared.errors import ServiceError


class Together:
    """One attempt at a time, for all who wait: where it failed, none of them makes another.

    So a neighbour who says nothing keeps everybody waiting for as long as one attempt, and not one after the other.
    """

    def __init__(self, seconds: float) -> None:
        """How long an attempt may take, whoever makes it: the others may wait for longer than they do."""
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._failed_at = float("-inf")
        self._failure: ServiceError | None = None

    async def attempt(self, is_done: Callable[[], bool], make: Callable[[], Awaitable[object]]) -> None:
        """Have it made, unless it `is_done` when it is our turn. Raises what `make` raises."""
        asked_at = time.monotonic()
        async with self._turn:
            if is_done():
                return
            if self._failure and self._failed_at > asked_at:
                raise self._failure.with_traceback(None)  # which would grow each time
            try:
                with deadlines.of_its_own(self._seconds):
                    await make()
            except ServiceError as error:
                self._failed_at, self._failure = time.monotonic(), error
                raise
            self._failure = None
