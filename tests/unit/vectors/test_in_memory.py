"""What is in memory: brought there once, kept while it is used, gone when it is not or when others need the room."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from services.vectors.adapters.in_memory import Collections, Opening
from shared.errors import Unavailable
from shared.limits import Turns
from tests.fixtures.patience import PATIENCE_SECONDS


@dataclass
class Thing:
    """What stands in memory."""

    nbytes: int
    is_closed: bool = False
    is_sound: bool = True


@dataclass
class World:
    """Things by their keys, how often each was opened, and a clock that stands."""

    most: int = 3
    most_bytes: int = 100
    idle_seconds: float = 10.0
    patience_seconds: float = 60.0
    now: float = 0.0
    opened: list[str] = field(default_factory=list)
    closed: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    opens: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)
    closing: asyncio.Event | None = None
    """What the next to be closed waits for."""

    def __post_init__(self) -> None:
        self.collections: Collections[Thing] = Collections(
            most=self.most,
            most_bytes=self.most_bytes,
            idle_seconds=self.idle_seconds,
            close=self._close,
            loads=Turns(2, waiting=1000, per_source=1000),
            refusal=lambda: Unavailable("faiss"),
            patience_seconds=self.patience_seconds,
            clock=lambda: self.now,
        )

    def of(self, key: str) -> Opening[Thing]:
        async def size() -> int:
            await asyncio.sleep(0)
            return self.sizes.get(key, 10)

        async def opening() -> Thing:
            self.opened.append(key)
            await self.opens()
            return Thing(self.sizes.get(key, 10))

        return Opening(key, f"tenant of {key}", size, opening)

    async def _close(self, thing: Thing) -> None:
        gate, self.closing = self.closing, None
        await (gate.wait() if gate else asyncio.sleep(0))
        thing.is_closed = True
        self.closed += 1

    async def use(self, key: str) -> None:
        async with self.collections.reading(self.of(key)) as thing:
            assert not thing.is_closed


async def waits(task: "asyncio.Task[None]") -> bool:
    """Whether it does after all that can go on has."""
    for _ in range(50):
        await asyncio.sleep(0)
    return not task.done()


async def test_many_who_wait_for_one_have_it_loaded_once() -> None:
    world = World()

    await asyncio.gather(*(world.use("a") for _ in range(100)))

    assert world.opened == ["a"]


async def test_what_nobody_used_for_a_while_leaves_and_comes_back() -> None:
    world = World()
    await world.use("a")
    world.now = 6
    await world.use("b")

    world.now = 10
    await world.collections.close_idle()
    assert (world.closed, world.collections.nbytes) == (1, 10)
    await world.use("b")
    await world.use("a")

    assert world.opened == ["a", "b", "a"]


async def test_what_is_used_stays_however_long_that_takes() -> None:
    world = World()
    async with world.collections.reading(world.of("a")) as thing:
        world.now = 1000
        await world.collections.close_idle()
        assert not thing.is_closed

    await world.collections.close_idle()
    assert not thing.is_closed  # it was used until now
    world.now = 1010
    await world.collections.close_idle()
    assert thing.is_closed


async def test_what_came_back_while_the_idle_leave_is_there_once() -> None:
    """A list of the idle is old by its end: one of them may have made room, and be used again, as another."""
    world = World(sizes={"large": 95})
    await world.use("a")
    await world.use("b")
    world.now = 10
    gate = world.closing = asyncio.Event()
    leaving = asyncio.create_task(world.collections.close_idle())
    assert await waits(leaving)  # for a, which is being closed
    await world.use("large")  # in the room of b
    async with world.collections.reading(world.of("b")):
        gate.set()
        await leaving
        async with world.collections.reading(world.of("b")):
            assert world.opened == ["a", "b", "large", "b"]
            assert world.collections.number == 1


async def test_without_a_time_none_leaves() -> None:
    world = World(idle_seconds=0)
    await world.use("a")
    world.now = 1e9

    await world.collections.close_idle()

    assert world.collections.number == 1


async def test_what_was_unused_longest_makes_room() -> None:
    world = World(most=2)
    for key in ("a", "b", "a", "c"):
        await world.use(key)

    await world.use("a")
    await world.use("b")

    assert world.opened == ["a", "b", "c", "b"]


async def test_room_is_counted_in_bytes() -> None:
    world = World(most=100, sizes={"large": 75})
    for key in "abcd":
        await world.use(key)

    await world.use("large")

    assert (world.closed, world.collections.nbytes) == (2, 95)


async def test_who_grows_takes_the_room_of_those_who_are_unused() -> None:
    world = World(most=100, sizes={"new": 1})
    for key in "abcd":
        await world.use(key)
    async with world.collections.reading(world.of("a")), world.collections.writing(world.of("new")) as thing:
        thing.nbytes = 75

    assert (world.closed, world.collections.nbytes) == (2, 95)
    assert world.collections.opened("a")


async def test_one_that_has_more_than_there_may_be_is_there_alone() -> None:
    world = World(sizes={"huge": 1000})
    await world.use("a")

    await world.use("huge")

    assert (world.collections.number, world.collections.nbytes) == (1, 1000)
    await world.use("a")
    assert world.collections.nbytes == 10


async def test_who_needs_room_waits_for_those_who_use_theirs() -> None:
    world = World(most=2)
    async with AsyncExitStack() as stack:
        for key in "ab":
            await stack.enter_async_context(world.collections.reading(world.of(key)))
        third = asyncio.create_task(world.use("c"))
        assert await waits(third)
        assert world.opened == ["a", "b"]
        await world.use("a")  # whose users wait for nobody
    await third

    assert world.opened == ["a", "b", "c"]


async def test_who_is_never_done_keeps_nobody_out_for_long() -> None:
    world = World(most=1, patience_seconds=0.01)
    is_over = False

    async def use_without_a_pause() -> None:
        while not is_over:
            async with world.collections.reading(world.of("a")) as thing:
                await asyncio.sleep(0.001)
                assert not thing.is_closed

    users = [asyncio.create_task(use_without_a_pause()) for _ in range(3)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        await world.use("a")
        await asyncio.gather(world.use("b"), world.use("c"))
        await world.use("a")
        is_over = True
        await asyncio.gather(*users)

    assert {"b", "c"} < set(world.opened)
    assert world.opened.count("a") > 1, "its users go on afterwards"


async def test_who_goes_away_while_it_is_loaded_leaves_it_to_who_comes() -> None:
    gate = asyncio.Event()
    world = World(opens=gate.wait)
    first = asyncio.create_task(world.use("a"))
    assert await waits(first)
    first.cancel()
    second = asyncio.create_task(world.use("a"))
    assert await waits(second)
    gate.set()

    await second

    assert first.cancelled()
    assert world.opened == ["a"]


async def test_a_failure_is_told_to_all_who_wait_and_tried_again_by_the_next() -> None:
    async def fail() -> None:
        raise Unavailable("faiss")

    world = World(opens=fail)
    failures = await asyncio.gather(*(world.use("a") for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in failures] == [Unavailable] * 3
    assert len({id(one) for one in failures}) == 3

    world.opens = lambda: asyncio.sleep(0)
    await world.use("a")

    assert world.opened == ["a", "a"]


async def test_a_dropped_one_is_not_brought_back_by_who_was_on_the_way() -> None:
    world = World()
    await world.use("a")
    async with world.collections.without("a"):
        assert world.collections.number == 0
        user = asyncio.create_task(world.use("a"))
        assert await waits(user)
        assert world.collections.number == 0
    await user

    assert world.opened == ["a", "a"]


@pytest.mark.parametrize("seed", range(5))
async def test_under_any_order_bounds_hold_and_nobody_uses_what_is_closed(seed: int) -> None:
    chance = random.Random(seed)
    world = World(most=3, idle_seconds=1, sizes={f"{key}": 10 + key for key in range(10)})
    most_seen = 0

    async def work(number: int) -> None:
        nonlocal most_seen
        for _ in range(40):
            opening = world.of(f"{chance.randrange(10)}")
            using = world.collections.writing if chance.random() < 0.3 else world.collections.reading
            async with using(opening) as thing:
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
                    assert not thing.is_closed
                    most_seen = max(most_seen, world.collections.number)
            world.now += chance.random()
            if chance.random() < 0.2:
                await world.collections.close_idle()

    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*map(work, range(12)))
    await world.collections.aclose()

    assert most_seen == 3
    assert world.closed == len(world.opened) > 20
    assert world.collections.nbytes == 0


async def test_to_look_brings_nothing_into_memory_and_is_no_use() -> None:
    world = World()
    async with world.collections.looking("a") as nothing:
        assert nothing is None
    await world.use("a")

    world.now = 9
    async with world.collections.looking("a") as thing:
        assert thing is not None
    world.now = 10
    await world.collections.close_idle()

    assert (world.opened, world.closed) == (["a"], 1)


async def test_nobody_writes_and_nothing_leaves_while_somebody_looks() -> None:
    world = World()
    await world.use("a")

    async with world.collections.looking("a") as thing:
        assert thing is not None
        world.now = 10
        leaving = asyncio.create_task(world.collections.close_idle())
        assert await waits(leaving)
        assert not thing.is_closed
    await leaving

    assert thing.is_closed


async def test_who_is_to_grow_has_others_leave_and_never_itself() -> None:
    world = World(sizes={"a": 40, "b": 30, "c": 30})
    for key in ("a", "b", "c"):
        await world.use(key)
    world.now = 60

    assert await world.collections.room_for("a", 20) is True
    assert [world.collections.opened(key) is None for key in ("a", "b", "c")] == [False, True, False]
    async with world.collections.reading(world.of("c")):
        assert await world.collections.room_for("a", 60) is False
    world.now = 120
    assert await world.collections.room_for("a", 60) is True

    assert [world.collections.opened(key) is None for key in ("a", "b", "c")] == [False, True, True]


async def test_who_is_to_grow_has_nobody_leave_for_nothing() -> None:
    world = World(sizes={"a": 40, "b": 30, "c": 30})
    for key in ("a", "b", "c"):
        await world.use(key)
    world.now = 60

    async with world.collections.reading(world.of("c")):
        assert await world.collections.room_for("a", 31) is False
    assert await world.collections.room_for("a", 61) is False  # there is no more, even alone
    assert world.closed == 0

    async with world.collections.without("b"), world.collections.without("c"):
        assert await world.collections.room_for("a", 61) is False


async def test_who_is_to_grow_takes_no_room_from_who_was_there_a_moment_ago() -> None:
    world = World(sizes={"a": 40, "b": 50})
    await world.use("a")
    await world.use("b")

    world.now = 59
    assert await world.collections.room_for("a", 20) is False
    assert world.closed == 0
    world.now = 60
    assert await world.collections.room_for("a", 20) is True
    assert world.closed == 1
