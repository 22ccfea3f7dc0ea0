"""What many wait for at once, and auth is asked once."""

import asyncio
from collections.abc import Awaitable, Callable

from shared import deadlines


class Together:
    """One attempt at a time, for all who come while it is made: they have its outcome, and none makes another.

    So a neighbour who says nothing keeps everybody waiting for as long as one attempt, and not one after the other. It
    is a task of its own: who leaves, or waits for less than the others, takes nothing from them.
    """

    def __init__(self, make: Callable[[], Awaitable[object]], *, seconds: float, name: str) -> None:
        """`seconds` is how long an attempt may take, whoever asks first: others may wait for longer than they do."""
        self._make, self._seconds, self._name = make, seconds, name
        self._attempt: asyncio.Task[None] | None = None

    async def attempt(self) -> None:
        """Raises what it fails with."""
        if self._attempt is None or self._attempt.done():
            self._attempt = asyncio.create_task(self._made(), name=self._name)
            self._attempt.add_done_callback(_heard)
        await asyncio.shield(self._attempt)

    async def attempt_anew(self) -> None:
        """The same, and none that began before we asked. Raises what that one fails with, too."""
        if self._attempt is not None and not self._attempt.done():
            await asyncio.shield(self._attempt)
        await self.attempt()

    async def _made(self) -> None:
        with deadlines.of_its_own(self._seconds):
            await self._make()


def _heard(attempt: asyncio.Task[None]) -> None:
    """All who asked may have left: a failure is then nobody's, and nothing to report."""
    if not attempt.cancelled():
        attempt.exception()
