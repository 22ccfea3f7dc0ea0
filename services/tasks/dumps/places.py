"""How many dumps a worker reads and writes at once: each has a program with memory of its own, and a file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from services.tasks.domain import Ticket
from services.tasks.places import Places

AT_ONCE: Final = 4
PLACES: Final = Places("dumps", AT_ONCE)


@asynccontextmanager
async def turn(ticket: Ticket, places: Places = PLACES) -> AsyncIterator[None]:
    """One through the block, waited for as long as it takes: an attempt's own timeout ends that."""
    taken = await places.wait(ticket)
    try:
        yield
    finally:
        places.give_back(taken)
