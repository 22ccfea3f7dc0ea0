"""The slots of one priority in one worker, shared: no owner's backlog takes them all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.tasks.domain import Ticket
from services.tasks.places import Places
from shared.limits import Place

PATIENCE_SECONDS = 0.2
"""For a place of an owner who has none left. What is quick ends within it, and then putting off would cost more."""


class Slots:
    """`number` places, of which each user and each tenant has a share."""

    def __init__(self, number: int) -> None:
        self._places = Places("tasks", number)
        # Who waited in vain since a place was last given back: what is theirs need not wait again.
        self._refused: set[tuple[str, str]] = set()

    @asynccontextmanager
    async def take(self, ticket: Ticket) -> AsyncIterator[Place | None]:
        """A place through the block; None when the owner has no share of what is left, and no place ends soon."""
        place = self._places.find(ticket) or await self._patiently(ticket)
        try:
            yield place
        finally:
            if place is not None:
                self._refused.clear()
                self._places.give_back(place)

    async def _patiently(self, ticket: Ticket) -> Place | None:
        owner = ticket.tenant_id, ticket.user_id
        if owner in self._refused:
            return None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._places.wait(ticket)
        except TimeoutError:
            self._refused.add(owner)
            return None
