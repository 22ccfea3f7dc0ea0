"""Argon2id in a bounded pool of threads, so that a login storm costs neither the event loop nor all memory."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar

from cachetools import TTLCache
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from services.auth.errors import HashingBusy, PasswordTooCommon
from services.auth.people.passwords.common import is_common
from services.auth.people.passwords.spelling import has_controls
from services.auth.settings import Settings
from shared.errors import Invalid
from shared.limits import Turns

T = TypeVar("T")
SOURCE_SHARE: Final = 8
"""One in so many of those that wait is the most from one source."""
_WELCOME_SECONDS: Final = 86_400
_MOST_WELCOME: Final = 10_000
NICENESS = 10  # a tenth of a processor that others want too: enough to give way, not enough to starve logins


class PasswordHasher:
    """Hashes and verifies. Each call costs about `password_memory_kib` of memory while it runs."""

    def __init__(self, hasher: PasswordHash, pool: ThreadPoolExecutor, *, workers: int, waiting: int) -> None:
        self._hasher, self._pool = hasher, pool
        # One more has its turn than are hashed at once: it is prepared meanwhile.
        self._turns = Turns(workers + 1, waiting=waiting, per_source=max(1, waiting // SOURCE_SHARE))
        self._welcome: TTLCache[str, bool] = TTLCache(_MOST_WELCOME, _WELCOME_SECONDS)
        # Verified instead of a real hash when there is no such account, so that both take the same time.
        self._nobody = hasher.hash("no account has this password")

    @asynccontextmanager
    async def admitted(self, source: str | None) -> AsyncIterator[None]:
        """Hold a place for one request that will hash; take it before any other work is done for the request.

        Begins when it is the request's turn: what comes in a burst is worked on at the pace of the hashing, and does
        not keep the event loop from everyone else. Sources take turns, so a crowd from many of them costs a newcomer
        one hash of each; those that are `welcome` have every second turn. Raises HashingBusy when too many wait, of
        this source or in all.
        """
        source = source or ""
        async with self._turns.turn(source, HashingBusy, ahead=source in self._welcome):
            yield

    def welcome(self, source: str | None) -> None:
        """Whoever comes from there today comes ahead of sources that nobody has shown a right password from.

        What was typed has no part in it: how long an answer takes tells nothing of an account.
        """
        if source:
            self._welcome[source] = True

    async def hash(self, password: str) -> str:
        """The hash to keep. Call it `admitted`."""
        return await self._run(lambda: self._hasher.hash(password))

    async def hash_new(self, password: str, pointer: str) -> str:
        """The hash to keep of a password that somebody chose, as it is `spelled`. Call it `admitted`.

        Raises PasswordTooCommon, or Invalid for control characters, naming the field that `pointer` points to.
        """
        if has_controls(password):
            raise Invalid.field(pointer, "control_character", "A password may not hold control characters.")
        if is_common(password):
            raise PasswordTooCommon(pointer)
        return await self.hash(password)

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether it matches, and a new hash to keep when the parameters have risen since. `stored` None never matches.

        Call it `admitted`.
        """
        matches, renewed = await self._run(lambda: self._hasher.verify_and_update(password, stored or self._nobody))
        return matches and stored is not None, renewed

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


@contextmanager
def open_hasher(settings: Settings) -> Iterator[PasswordHasher]:
    """With the parameters of `settings`; ends its threads with the block."""
    hasher = Argon2Hasher(
        time_cost=settings.password_iterations, memory_cost=settings.password_memory_kib, parallelism=1
    )
    pool = ThreadPoolExecutor(settings.password_workers, thread_name_prefix="argon2", initializer=_step_back)
    try:
        workers, waiting = settings.password_workers, settings.password_waiting
        yield PasswordHasher(PasswordHash((hasher,)), pool, workers=workers, waiting=waiting)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _step_back() -> None:
    """Have this thread give way: a login takes its time anyway, while everyone else waits for the event loop."""
    if sys.platform == "linux":  # where priorities belong to threads
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
