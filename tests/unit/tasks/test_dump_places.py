"""Dumps at once: a user's third waits for their first, and nobody else's does."""

import asyncio

from services.tasks.domain import Ticket
from services.tasks.dumps.places import turn
from services.tasks.places import Places


async def test_a_crowd_of_ones_own_waits_behind_itself() -> None:
    places, over = Places("dumps", 8), asyncio.Event()
    begun = list[str]()

    async def work(task: str, user: str) -> None:
        async with turn(Ticket(task, f"tenant of {user}", user), places):
            begun.append(task)
            if task != "other":
                await over.wait()

    mine = [asyncio.create_task(work(f"{at}", "me")) for at in range(3)]
    await asyncio.sleep(0)  # a turn of the loop: as many begin as may
    await work("other", "you")
    before = list(begun)
    over.set()
    await asyncio.gather(*mine)

    assert (before, begun) == (["0", "1", "other"], ["0", "1", "other", "2"])
