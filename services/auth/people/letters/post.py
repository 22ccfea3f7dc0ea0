"""Letters that nobody waits for.

They are written and sent after the answer, so no request is slower, fails, or takes another time for whether there is
somebody to write to. They are kept nowhere: with the process that would send them they are lost, and whoever waits for
one asks for another.
"""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from services.auth.ports import Mail, Mailer
from shared.ending import end, within
from shared.errors import ServiceError, Unavailable
from shared.limits import Turns

Write = Callable[[], Awaitable[Mail | None]]
"""Makes the letter, with a token that counts from then on; None where there is nobody to write to."""

AT_ONCE: Final = 4  # each with one connection to the database while it is written, and none while it is sent
WAITING: Final = 512
WAITING_OF_ONE: Final = 64
"""Of one source, or about one account."""
_SECONDS = 20.0  # for writing it, and for the ten seconds that a mailer takes at most
_LAST_SECONDS = 5.0  # for what is under way when the process ends
_log = logging.getLogger("auth.letters")


class _TooManyWait(Exception):
    """Of all, or of this one."""


class Post:
    """Those who wait take turns by whom they are for, so a crowd of one source holds up nobody else's."""

    def __init__(self, mailer: Mailer, *, is_open: bool) -> None:
        self.is_open = is_open
        """Whether the installation has mail; without it nothing is ever sent, and no address is proved."""
        self._mailer = mailer
        self._turns = Turns(AT_ONCE, waiting=WAITING, per_source=WAITING_OF_ONE)
        self._under_way = set[asyncio.Task[None]]()

    def require_open(self) -> None:
        """Raises Unavailable("mail") for what makes no sense without."""
        if not self.is_open:
            detail = "mail is not set up in this installation."
            raise Unavailable("mail", detail=detail, retry_after_seconds=3600)

    def soon(self, write: Write, turn: str | None) -> None:
        """Write and send it when it is the turn of `turn`. Never raises: what fails is logged without the address."""
        if self.is_open:
            task = asyncio.create_task(self._deliver(write, turn or ""), name="letter")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def finish(self) -> None:
        """Wait a moment for what is under way, and end the rest."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_LAST_SECONDS)
        await end(*self._under_way)

    async def _deliver(self, write: Write, turn: str) -> None:
        try:
            async with self._turns.turn(turn, _TooManyWait):
                await within(_SECONDS, self._send(write))
        except _TooManyWait:
            _log.warning("a letter was not sent: too many wait")
        except (ServiceError, TimeoutError) as error:
            cause = error.detail if isinstance(error, ServiceError) else "it took too long"
            _log.warning("a letter was not sent", extra={"fields": {"cause": cause}})
        except Exception as error:  # noqa: BLE001 - nobody waits for it; its text may quote the address
            fields = {"cause": type(error).__name__, "stack": "".join(traceback.format_tb(error.__traceback__))}
            _log.error("a letter failed", extra={"fields": fields})

    async def _send(self, write: Write) -> None:
        if letter := await write():
            await self._mailer.send(letter)


@asynccontextmanager
async def open_post(mailer: Mailer, *, is_open: bool) -> AsyncIterator[Post]:
    """Open until the end of the block."""
    post = Post(mailer, is_open=is_open)
    if not is_open:
        _log.warning("mail is not set up: addresses are not proved, and a forgotten password has no way back")
    try:
        yield post
    finally:
        await post.finish()
