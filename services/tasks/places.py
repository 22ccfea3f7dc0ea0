"""Places of a worker that are shared by owners, and waited for."""

import asyncio
from typing import Final

from services.tasks.domain import Ticket
from shared.limits import Place, Shares, ShareTaken


class Places:
    """`number` places for `what`, of which each user and each tenant has a share."""

    def __init__(self, what: str, number: int) -> None:
        self._shares: Final = Shares(what, number)
        self._given_back = asyncio.Event()

    def find(self, ticket: Ticket) -> Place | None:
        """One for the owner of `ticket`, to be handed to `give_back`; None where there is no share of what is left."""
        try:
            return self._shares.take(ticket.tenant_id, ticket.user_id)
        except ShareTaken:
            return None

    async def wait(self, ticket: Ticket) -> Place:
        """The same, waited for as long as it takes."""
        while (place := self.find(ticket)) is None:
            await self._given_back.wait()
        return place

    def give_back(self, place: Place) -> None:
        """Those who wait now are woken, in the order in which they came."""
        place.give_back()
        self._given_back.set()
        self._given_back = asyncio.Event()
