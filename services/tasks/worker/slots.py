"""The slots of one priority in one worker: no owner's backlog takes them all, and what nobody needs is lent.

Each user and each tenant has a share. Beyond it a slot is lent to kinds that may borrow, as long as some are left for
newcomers, and called back once others have these: what runs there stops, and goes on when its owner's turn comes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from services.tasks.domain import Ticket
from services.tasks.places import Places
from shared.limits import RESERVED_SHARE, Place

PATIENCE_SECONDS: Final = 0.2
"""For a place of an owner who has none left. What is quick ends within it, and then putting off would cost more."""
LENDING_SECONDS: Final = 1.0
"""How long newcomers' slots are taken before others are called back: what is quick has given its own back by then."""


class Slot:
    """One slot, and what is to happen when it is called back."""

    def __init__(self, ticket: Ticket, share: Place | None) -> None:
        """`share` is what it has of its owner's; a slot without is lent."""
        self.ticket, self.share = ticket, share
        self.is_called = False
        self._stop: Callable[[], None] | None = None

    def when_called(self, stop: Callable[[], None]) -> None:
        """Have `stop` be called when the slot is called back, or now if it was."""
        self._stop = stop
        if self.is_called:
            stop()

    def call(self) -> None:
        """Ask for it back."""
        self.is_called = True
        if self._stop is not None:
            self._stop()


class Slots:
    """`number` slots."""

    def __init__(self, number: int) -> None:
        self._shares = Places("tasks", number)
        self._free = number
        self._kept = max(1, number // RESERVED_SHARE)  # for newcomers: these are not lent
        self._lent: list[Slot] = []  # for longest first
        self._given_back = asyncio.Event()
        self._calling: asyncio.TimerHandle | None = None
        # Who waited in vain since a slot was last given back: what is theirs need not wait again.
        self._refused: set[tuple[str, ...]] = set()

    @asynccontextmanager
    async def take(self, ticket: Ticket, *, may_borrow: bool) -> AsyncIterator[Slot | None]:
        """A slot through the block; None when none of the owner's is left, or to be lent, and none comes soon."""
        slot = self._find(ticket, may_borrow) or await self._patiently(ticket, may_borrow)
        try:
            yield slot
        finally:
            if slot is not None:
                self._give_back(slot)

    def _find(self, ticket: Ticket, may_borrow: bool) -> Slot | None:
        """A lent one first, so that the share is there for what may not borrow."""
        share = None
        if not may_borrow or self._free <= self._kept:
            if may_borrow:
                self._settle_shares()  # what is lent to them counts first
            share = self._shares.find(ticket)
            if share is None:
                return None
            if not self._free:
                share.give_back()
                return None
        self._free -= 1
        slot = Slot(ticket, share)
        if share is None:
            self._lent.append(slot)
        self._see_to_newcomers()
        return slot

    async def _patiently(self, ticket: Ticket, may_borrow: bool) -> Slot | None:
        owner = ticket.tenant_id, ticket.user_id, str(may_borrow)
        if owner in self._refused:
            return None
        until = time.monotonic() + PATIENCE_SECONDS
        while (seconds := until - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._given_back.wait()
            except TimeoutError:
                break
            if slot := self._find(ticket, may_borrow):
                return slot
        self._refused.add(owner)
        if share := self._shares.find(ticket):  # what is theirs others have
            share.give_back()
            self._call_back()
        return None

    def _give_back(self, slot: Slot) -> None:
        """Those who wait now are woken, in the order in which they came."""
        self._free += 1
        if slot.share is None:
            self._lent.remove(slot)
        else:
            slot.share.give_back()
        self._see_to_newcomers()
        self._refused.clear()
        self._given_back.set()
        self._given_back = asyncio.Event()

    def _settle_shares(self) -> None:
        """What is lent to owners who have a share left is theirs, for longest lent first, and is not called back."""
        without = set[tuple[str, str]]()
        for slot in self._lent:
            owner = slot.ticket.tenant_id, slot.ticket.user_id
            if slot.is_called or owner in without:
                continue
            slot.share = self._shares.find(slot.ticket)
            if slot.share is None:
                without.add(owner)
        self._lent = [slot for slot in self._lent if slot.share is None]

    def _see_to_newcomers(self) -> None:
        """Call back what is missing of their slots, if it still is after a while."""
        if self._free >= self._kept or not self._lent:
            self._stop_timer()
        elif self._calling is None:
            self._calling = asyncio.get_running_loop().call_later(LENDING_SECONDS, self._call_back)

    def _call_back(self) -> None:
        """The latest first: they have least to lose."""
        self._stop_timer()
        self._settle_shares()
        missing = self._kept - self._free - sum(slot.is_called for slot in self._lent)
        uncalled = [slot for slot in reversed(self._lent) if not slot.is_called]
        for slot in uncalled[: max(0, missing)]:
            slot.call()

    def _stop_timer(self) -> None:
        if self._calling is not None:
            self._calling.cancel()
            self._calling = None
