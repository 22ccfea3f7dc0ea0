"""A worker's slots: who finds one, who waits for one, and who is sent back."""

import asyncio

from services.tasks.domain import Ticket
from services.tasks.worker.slots import Slots


def ticket(tenant: str, user: str = "user") -> Ticket:
    return Ticket("task", tenant, user)


async def test_a_user_has_a_quarter_and_a_newcomer_still_finds_a_place() -> None:
    slots = Slots(8)
    async with (
        slots.take(ticket("a")) as first,
        slots.take(ticket("a")) as second,
        slots.take(ticket("a")) as third,
        slots.take(ticket("b")) as neighbour,
    ):
        assert [bool(place) for place in (first, second, third, neighbour)] == [True, True, False, True]


async def test_a_place_that_is_given_back_goes_to_whoever_waits() -> None:
    slots = Slots(4)  # of which a user has one
    leave, entered = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with slots.take(ticket("a")):
            entered.set()
            await leave.wait()

    async def wait() -> bool:
        async with slots.take(ticket("a")) as place:
            return place is not None

    holding = asyncio.create_task(hold())
    await entered.wait()
    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)  # for it to ask
    leave.set()

    assert await waiting
    await holding


async def test_who_waited_in_vain_is_followed_by_theirs_at_once() -> None:
    slots = Slots(4)
    async with slots.take(ticket("a")):
        async with slots.take(ticket("a")) as vain:
            assert vain is None
        asking = slots.take(ticket("a"))
        entering = asyncio.create_task(asking.__aenter__())
        await asyncio.sleep(0)  # one step, and no wait in it
        assert entering.done()
        assert entering.result() is None
        await asking.__aexit__(None, None, None)
    async with slots.take(ticket("a")) as place:
        assert place is not None


async def test_a_cancelled_wait_holds_nothing() -> None:
    slots = Slots(4)
    async with slots.take(ticket("a")):
        asking = slots.take(ticket("a"))
        waiting = asyncio.create_task(asking.__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
    async with slots.take(ticket("a")) as place:
        assert place is not None
