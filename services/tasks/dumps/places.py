"""How many dumps a worker reads and writes at once: each has a program with memory of its own, and a file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from services.tasks.domain import Ticket
from shared.limits import Place, Shares, ShareTaken

AT_ONCE: Final = 4


class Places:
    """`number` places, of which each user and each tenant has a share."""

    def __init__(self, number: int) -> None:
        self._shares = Shares("dumps", number)
        self._given_back = asyncio.Event()

    @asynccontextmanager
    async def take(self, ticket: Ticket) -> AsyncIterator[None]:
        """A place through the block, waited for as long as it takes: an attempt's own timeout ends that."""
        while (place := self._try(ticket)) is None:
            await self._given_back.wait()
        try:
            yield
        finally:
            place.give_back()
            self._given_back.set()  # whoever waits looks again, in the order of coming
            self._given_back = asyncio.Event()

    def _try(self, ticket: Ticket) -> Place | None:
        try:
            return self._shares.take(ticket.tenant_id, ticket.user_id)
        except ShareTaken:
            return None


PLACES: Final = Places(AT_ONCE)
