"""Resolves host names as the system does, where nobody's names keep the others' waiting.

The system's resolver cannot be told to stop: a name server that never answers holds a thread until the resolver itself
gives up, long after whoever asked did. So a place is held as long as its thread, and nobody holds more than a share.
"""

import asyncio
import functools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

from shared.limits import Place, Shares, ShareTaken
from shared.outbound.failures import NamesBusy

_THREADS: Final = 32
_WAIT_SECONDS: Final = 2.0
"""For a place: names that are answered at all are answered in less."""


class Owner(NamedTuple):
    """Whose request it is."""

    tenant_id: str
    user_id: str


Resolve = Callable[[str, Owner], Awaitable[Sequence[str]]]
"""The addresses of a host name, as text; none where it has none. Raises OSError, NamesBusy."""


class Names:
    """The names that are being looked up by this process."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads
        self._places = Shares("names", _THREADS)
        self._freed = asyncio.Event()

    async def resolve(self, host: str, owner: Owner) -> list[str]:
        """The addresses of the host. Raises OSError, and NamesBusy where the owner's share is held by other names."""
        place = await self._place(owner)
        loop = asyncio.get_running_loop()
        ask = functools.partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
        asked = self._threads.submit(ask)

        def ended(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits for a place any more
                loop.call_soon_threadsafe(self._give_back, place)

        asked.add_done_callback(ended)
        found = await asyncio.wrap_future(asked)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    async def _place(self, owner: Owner) -> Place:
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                while (place := self._taken(owner)) is None:
                    await self._freed.wait()
        except TimeoutError as error:
            raise NamesBusy from error
        return place

    def _taken(self, owner: Owner) -> Place | None:
        try:
            return self._places.take(owner.tenant_id, owner.user_id)
        except ShareTaken:
            return None

    def _give_back(self, place: Place) -> None:
        place.give_back()
        self._freed.set()
        self._freed = asyncio.Event()


@asynccontextmanager
async def open_names() -> AsyncIterator[Names]:
    """Look-ups that go on behind its end are left to themselves."""
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="outbound-names")
    try:
        yield Names(threads)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
