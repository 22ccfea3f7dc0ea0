"""What waits is asked together, and nobody is told what is another's."""

import asyncio
from collections.abc import Sequence

import pytest

from services.vectors.adapters.gathering import Gathering


class Counting:
    """Answers twice the number, refuses -1, and waits at each call until it is let go on."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.called, self.may_go = asyncio.Event(), asyncio.Event()

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.asked.append(list(numbers))
        self.called.set()
        await self.may_go.wait()
        if -1 in numbers:
            raise ValueError(numbers)
        return [2 * number for number in numbers]


def gathering(most: int = 8, calls: int = 1) -> tuple[Counting, Gathering[int, int]]:
    counting = Counting()
    return counting, Gathering(counting, most=lambda: most, calls=calls)


async def begun(counting: Counting, asked: Gathering[int, int], numbers: Sequence[int]) -> list[asyncio.Task[int]]:
    """The first is asked, the others wait."""
    first = asyncio.create_task(asked.answer(numbers[0]))
    await counting.called.wait()
    others = [asyncio.create_task(asked.answer(number)) for number in numbers[1:]]
    await asyncio.sleep(0)  # each of them has its first step
    assert len(asked) == len(others)
    return [first, *others]


async def test_what_comes_meanwhile_is_asked_in_one_call_of_so_many_at_most() -> None:
    counting, asked = gathering(most=3)
    tasks = await begun(counting, asked, range(8))

    counting.may_go.set()

    assert await asyncio.gather(*tasks) == [2 * number for number in range(8)]
    assert counting.asked == [[0], [1, 2, 3], [4, 5, 6], [7]]


async def test_who_leaves_is_not_asked_for_and_takes_no_answer_from_the_others() -> None:
    counting, asked = gathering()
    tasks = await begun(counting, asked, range(4))

    tasks[0].cancel()
    tasks[2].cancel()
    counting.may_go.set()

    assert [await tasks[1], await tasks[3]] == [2, 6]
    assert counting.asked == [[0], [1, 3]]


async def test_each_is_told_of_its_own_failure_and_of_no_others() -> None:
    counting, asked = gathering()
    tasks = await begun(counting, asked, [1, 2, -1, 3])

    counting.may_go.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert [answers[0], answers[1], answers[3]] == [2, 4, 6]
    with pytest.raises(ValueError, match=r"^\[-1\]$"):
        tasks[2].result()


async def test_a_crowd_gets_another_call_beside_the_first_and_few_do_not() -> None:
    counting, asked = gathering(most=64, calls=2)
    few = await begun(counting, asked, range(15))
    assert counting.asked == [[0]]

    crowd = [asyncio.create_task(asked.answer(number)) for number in range(15, 20)]
    counting.called.clear()
    await counting.called.wait()

    assert len(counting.asked[1]) >= 15
    counting.may_go.set()
    assert await asyncio.gather(*few, *crowd) == [2 * number for number in range(20)]


async def test_it_goes_on_after_a_pause() -> None:
    counting, asked = gathering()
    counting.may_go.set()

    assert [await asked.answer(1), await asked.answer(2)] == [2, 4]
    assert counting.asked == [[1], [2]]
