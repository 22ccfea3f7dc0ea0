"""A worker's slots: who finds one, to whom one is lent, who waits for one, and who is sent back."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from services.tasks.domain import Ticket
from services.tasks.worker import slots as module
from services.tasks.worker.slots import Slot, Slots
from tests.fixtures.patience import PATIENCE_SECONDS


def ticket(tenant: str, user: str = "user") -> Ticket:
    return Ticket("task", tenant, user)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.02)
    monkeypatch.setattr(module, "LENDING_SECONDS", 0.02)
    return iter([None])


class Holders:
    """Who has slots, and gives each back when it is called."""

    def __init__(self, slots: Slots, *, gives_back: bool = True) -> None:
        self._slots, self._gives_back = slots, gives_back
        self._stacks: dict[Slot, AsyncExitStack] = {}
        self._giving: set[asyncio.Task[None]] = set()
        self.called: list[Slot] = []

    async def take(self, tenant: str, user: str = "user", *, may_borrow: bool = True) -> Slot | None:
        stack = AsyncExitStack()
        slot = await stack.enter_async_context(self._slots.take(ticket(tenant, user), may_borrow=may_borrow))
        if slot is not None:
            self._stacks[slot] = stack
            slot.when_called(lambda: self._hear(slot))
        return slot

    def _hear(self, slot: Slot) -> None:
        self.called.append(slot)
        if self._gives_back:
            self._giving.add(asyncio.create_task(self.give_back(slot)))

    async def all_given_back(self) -> None:
        """Returns when what was called is given back."""
        await asyncio.gather(*self._giving)

    async def give_back(self, slot: Slot) -> None:
        await self._stacks.pop(slot).aclose()


async def test_a_lone_owner_has_all_but_those_that_are_kept_for_newcomers() -> None:
    holders = Holders(Slots(8))
    own = [await holders.take("a") for _ in range(8)]
    newcomer = await holders.take("b")

    assert [bool(slot) for slot in own] == [True] * 7 + [False]
    assert newcomer is not None


async def test_what_may_not_borrow_keeps_to_its_owners_share() -> None:
    holders = Holders(Slots(8))
    own = [await holders.take("a", may_borrow=False) for _ in range(3)]

    assert [bool(slot) for slot in own] == [True, True, False]
    assert await holders.take("a") is not None


async def test_the_newcomers_slots_are_called_back_from_whoever_came_last() -> None:
    holders = Holders(Slots(16))  # two are kept, four are a user's
    own = [await holders.take("a") for _ in range(14)]
    for tenant in ("b", "c"):
        assert await holders.take(tenant) is not None
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(holders.called) < 2:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)

    assert holders.called == [own[13], own[12]]


async def test_who_is_quick_has_nothing_called_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for any more once it has given back what it had."""
    monkeypatch.setattr(module, "LENDING_SECONDS", 3600)
    slots = Slots(8)
    holders = Holders(slots)
    for _ in range(7):
        await holders.take("a")
    for _ in range(100):
        quick = await holders.take("b")
        assert quick is not None
        assert slots._calling is not None
        await asyncio.sleep(0)
        await holders.give_back(quick)
        assert slots._calling is None

    assert holders.called == []


async def test_who_waits_in_vain_for_their_own_share_has_it_called_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LENDING_SECONDS", 3600)  # it is not the newcomers' slots that are called back
    holders = Holders(Slots(8))
    for _ in range(7):
        await holders.take("a")
    await holders.take("b")
    in_vain = await holders.take("b")
    await holders.all_given_back()

    assert (in_vain, len(holders.called)) == (None, 1)
    assert await holders.take("b") is not None


async def test_no_share_is_ever_called_back() -> None:
    """Whoever needs slots: those that are lent are fewer then."""
    holders = Holders(Slots(8))
    for _ in range(7):
        await holders.take("a")
    for tenant in ("b", "b", "c", "c", "d", "d"):
        for _ in range(10):
            if await holders.take(tenant):
                break
            await asyncio.sleep(0.01)

    assert len(holders.called) == 5
    assert all(slot.share is None for slot in holders.called)


async def test_what_may_borrow_leaves_the_share_to_what_may_not() -> None:
    holders = Holders(Slots(16))
    borrowed = [await holders.take("a") for _ in range(8)]
    own = [await holders.take("a", may_borrow=False) for _ in range(5)]

    assert all(borrowed)
    assert [bool(slot) for slot in own] == [True] * 4 + [False]


async def test_a_slot_that_was_called_before_it_was_taken_up_is_given_back_at_once() -> None:
    slot, heard = Slot(ticket("a"), None), list[str]()
    slot.call()
    slot.when_called(lambda: heard.append("called"))

    assert heard == ["called"]


async def test_a_slot_that_is_given_back_goes_to_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", PATIENCE_SECONDS)
    holders = Holders(Slots(4))  # of which one is kept
    own = [slot for _ in range(3) if (slot := await holders.take("a"))]
    waiting = asyncio.create_task(holders.take("a"))
    await asyncio.sleep(0)  # for it to ask
    await holders.give_back(own[0])

    assert await waiting is not None


async def test_who_waited_in_vain_is_followed_by_theirs_at_once() -> None:
    slots = Slots(4)
    holders = Holders(slots)
    own = [slot for _ in range(3) if (slot := await holders.take("a"))]
    assert await holders.take("a") is None
    entering = asyncio.create_task(slots.take(ticket("a"), may_borrow=True).__aenter__())
    await asyncio.sleep(0)  # one step, and no wait in it
    assert entering.done()
    assert entering.result() is None
    await holders.give_back(own[0])
    assert await holders.take("a") is not None


async def test_a_cancelled_wait_holds_nothing() -> None:
    slots = Slots(4)
    holders = Holders(slots)
    own = [slot for _ in range(3) if (slot := await holders.take("a"))]
    waiting = asyncio.create_task(slots.take(ticket("a"), may_borrow=True).__aenter__())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    for slot in own:
        await holders.give_back(slot)

    assert [bool(await holders.take("a")) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("number", [1, 2])
async def test_where_there_are_few_nothing_is_lent(number: int) -> None:
    holders = Holders(Slots(number))

    assert [bool(await holders.take("a")) for _ in range(2)] == [True, False]
