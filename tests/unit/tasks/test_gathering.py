"""What asks at once goes together, what comes alone waits for nobody, and nobody has what another asked for."""

import asyncio
from collections.abc import Sequence

import pytest

from services.tasks.worker.gathering import Gathering
from shared.errors import Unavailable
from tests.fixtures.patience import PATIENCE_SECONDS


class Slow:
    """Doubles numbers, when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.released = asyncio.Event()

    async def double(self, given: Sequence[int]) -> list[int]:
        self.batches.append(list(given))
        await self.released.wait()
        if 13 in given:
            raise Unavailable("postgres")
        return [2 * number for number in given]


async def begun(gathering: Gathering[int, int], numbers: Sequence[int]) -> list[asyncio.Task[int]]:
    """All asked for, as far as each goes by itself."""
    tasks = [asyncio.create_task(gathering.join(number)) for number in numbers]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_those_that_come_meanwhile_go_together_and_each_has_its_own_answer() -> None:
    slow = Slow()
    gathering = Gathering(slow.double, most=3)
    first = await begun(gathering, [1])
    second = await begun(gathering, [2])
    rest = await begun(gathering, [3, 4, 5, 6])

    slow.released.set()
    answers = await asyncio.gather(*first, *second, *rest)

    assert answers == [2, 4, 6, 8, 10, 12]
    assert slow.batches == [[1], [2], [3, 4, 5], [6]]


async def test_what_fails_is_raised_where_each_of_them_waits_and_the_next_go_on() -> None:
    slow = Slow()
    gathering = Gathering(slow.double, most=3)
    both = await begun(gathering, [1, 13])
    later = await begun(gathering, [13, 3])
    slow.released.set()
    found = await asyncio.gather(*both, *later, return_exceptions=True)

    assert [type(one) for one in found].count(Unavailable) == 4 - found.count(2)
    assert await gathering.join(4) == 8


async def test_who_is_cancelled_takes_nobody_along() -> None:
    slow = Slow()
    gathering = Gathering(slow.double, most=3)
    one, other = await begun(gathering, [1, 2])
    one.cancel()
    slow.released.set()

    assert await other == 4
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_what_comes_in_the_turn_in_which_all_others_end_waits_for_nobody() -> None:
    answered = asyncio.get_running_loop().create_future()

    async def echo(given: Sequence[int]) -> Sequence[int]:
        await answered
        return given

    gathering = Gathering(echo, most=3)
    both = await begun(gathering, [1]) + await begun(gathering, [2])

    async def late() -> int:
        await answered
        return await gathering.join(3)

    last = asyncio.create_task(late())
    await asyncio.sleep(0)
    answered.set_result(None)

    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await asyncio.gather(*both, last) == [1, 2, 3]
