"""Turns are taken source by source."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.limits import Turns


class Queue:
    """Who has come for a turn, and in which order they were called; sources in capitals come ahead."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.called: list[str] = []
        self.refused: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, *names: str) -> None:
        """Each name is a source and a number: a1, a2, b1."""
        self.tasks += [asyncio.create_task(self._wait(name)) for name in names]
        await asyncio.sleep(0)

    async def _wait(self, name: str) -> None:
        try:
            await self.turns.begin(name[0], ahead=name[0].isupper())
        except asyncio.QueueFull:
            self.refused.append(name)
        else:
            self.called.append(name)

    async def end_one(self) -> None:
        self.turns.end()
        await asyncio.sleep(0)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
async def queue() -> AsyncIterator[Queue]:
    queue = Queue(Turns(1, waiting=6, per_source=4))
    yield queue
    await queue.close()


async def test_a_newcomer_waits_for_one_turn_of_each_source(queue: Queue) -> None:
    await queue.come("a1", "a2", "a3", "b1", "b2", "c1")

    for _ in range(5):
        await queue.end_one()

    assert queue.called == ["a1", "a2", "b1", "c1", "a3", "b2"]


async def test_sources_ahead_have_every_second_turn(queue: Queue) -> None:
    await queue.come("a1", "b1", "c1", "d1", "A1", "A2", "B1")

    for _ in range(6):
        await queue.end_one()

    assert queue.called == ["a1", "A1", "b1", "B1", "c1", "A2", "d1"]


async def test_without_others_those_ahead_have_every_turn_and_the_other_way_round(queue: Queue) -> None:
    await queue.come("A1", "A2", "A3")
    for _ in range(2):
        await queue.end_one()
    await queue.come("a1", "b1")
    for _ in range(2):
        await queue.end_one()

    assert queue.called == ["A1", "A2", "A3", "a1", "b1"]


async def test_who_is_ahead_and_goes_leaves_its_turn_to_the_next(queue: Queue) -> None:
    await queue.come("a1", "A1", "b1")

    queue.tasks[1].cancel()
    await asyncio.sleep(0)
    await queue.end_one()

    assert queue.called == ["a1", "b1"]


async def test_one_source_has_no_more_than_its_part_of_the_room(queue: Queue) -> None:
    await queue.come("a1", "a2", "a3", "a4", "a5", "a6", "b1")

    assert queue.refused == ["a6"]
    assert len(queue.turns) == 5


async def test_in_a_full_room_the_last_of_the_longest_queue_makes_way(queue: Queue) -> None:
    await queue.come("a1", "a2", "a3", "a4", "a5", "b1", "b2", "c1")
    await asyncio.sleep(0)

    assert queue.refused == ["a5"]


async def test_in_a_full_room_nobody_makes_way_for_an_equal() -> None:
    queue = Queue(Turns(1, waiting=2, per_source=2))

    await queue.come("a1", "a2", "b1", "c1")

    assert queue.refused == ["c1"]
    await queue.close()


async def test_who_is_gone_leaves_its_turn_to_the_next(queue: Queue) -> None:
    await queue.come("a1", "a2", "b1")

    queue.tasks[1].cancel()
    await asyncio.sleep(0)
    await queue.end_one()

    assert queue.called == ["a1", "b1"]


async def test_who_goes_as_it_is_called_leaves_its_turn_to_the_next(queue: Queue) -> None:
    await queue.come("a1", "a2", "b1")

    queue.turns.end()
    queue.tasks[1].cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert queue.called == ["a1", "b1"]


async def test_when_all_have_ended_the_next_one_waits_for_nobody(queue: Queue) -> None:
    await queue.come("a1", "b1")
    await queue.end_one()
    await queue.end_one()

    await queue.come("c1")

    assert queue.called == ["a1", "b1", "c1"]


async def test_who_is_gone_already_makes_way_for_a_newcomer() -> None:
    queue = Queue(Turns(1, waiting=2, per_source=2))
    await queue.come("a1", "a2", "a3")

    newcomer = asyncio.create_task(queue.turns.begin("b"))
    queue.tasks[2].cancel()  # which runs on behind the newcomer, and stands in the room until then
    await asyncio.sleep(0)
    assert not newcomer.done()
    await queue.end_one()
    await queue.end_one()

    await newcomer
    assert queue.called == ["a1", "a2"]
    await queue.close()
