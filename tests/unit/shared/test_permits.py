"""Leasing permits, on the storage that `limits` keeps in memory, with a clock of the test's own."""

import asyncio
from collections import Counter

import pytest
from limits import parse
from limits.aio.storage import MemoryStorage
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.limits import Limit, Permits
from tests.fixtures.patience import PATIENCE_SECONDS


class Store(MemoryStorage):
    """Counts how often it is asked; refuses, or is slow, when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.refuses = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        self.asked += 1
        await self.answers.wait()
        if self.refuses:
            raise RedisConnectionError("refused")
        return int(await super().incr(key, expiry, amount))


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limit(text: str) -> Limit:
    return Limit("read", parse(text))


async def outcomes(permits: Permits, of: Limit, times: int, owner: str = "a") -> Counter[bool | None]:
    standings = await asyncio.gather(*(permits.take(of, owner) for _ in range(times)))
    return Counter(standing.passed if standing else None for standing in standings)


@pytest.mark.parametrize("quota", [1, 7, 99, 250, 1000])
async def test_exactly_the_quota_passes(store: Store, clock: Clock, quota: int) -> None:
    found = await outcomes(Permits(store, clock), limit(f"{quota}/minute"), quota + 200)

    assert found == {True: quota, False: 200}


async def test_two_processes_share_one_quota(store: Store, clock: Clock) -> None:
    first, second = Permits(store, clock), Permits(store, clock)

    found = await outcomes(first, limit("30/minute"), 25) + await outcomes(second, limit("30/minute"), 25)

    assert found == {True: 30, False: 20}


async def test_a_busy_owner_costs_ever_fewer_round_trips(store: Store, clock: Clock) -> None:
    permits, of = Permits(store, clock), limit("6000/minute")
    for _ in range(600):
        await permits.take(of, "a")
    first = store.asked

    clock.now += 60
    for _ in range(600):
        await permits.take(of, "a")

    assert first <= 8
    assert store.asked - first == 1


async def test_an_owner_seen_once_costs_the_others_next_to_nothing(store: Store, clock: Clock) -> None:
    of = limit("1000/minute")
    for _ in range(40):
        await Permits(store, clock).take(of, "a")

    assert await outcomes(Permits(store, clock), of, 900) == {True: 800, False: 100}


async def test_most_of_a_quota_is_left_to_other_processes(store: Store, clock: Clock) -> None:
    busy, other, of = Permits(store, clock), Permits(store, clock), limit("800/minute")
    for _ in range(100):
        await busy.take(of, "a")

    passed = (await outcomes(other, of, 800))[True]

    assert 600 <= passed <= 700


async def test_requests_that_wait_together_are_leased_for_together(store: Store, clock: Clock) -> None:
    await outcomes(Permits(store, clock), limit("50/minute"), 40)

    assert store.asked <= 2


async def test_the_last_block_is_leased_in_part(store: Store, clock: Clock) -> None:
    permits, of = Permits(store, clock), limit("152/minute")

    standings = [await permits.take(of, "a") for _ in range(160)]

    assert sum(standing.passed for standing in standings if standing) == 152


async def test_a_permit_in_another_process_hand_is_not_given_out(store: Store, clock: Clock) -> None:
    permits, other, of = Permits(store, clock), Permits(store, clock), limit("100/minute")
    await outcomes(other, of, 5)
    for _ in range(2):
        await other.take(of, "a")  # of an eighth of what is left, and holds nine

    assert await outcomes(permits, of, 100) == {True: 84, False: 16}
    assert await outcomes(other, of, 10) == {True: 9, False: 1}


async def test_once_used_up_nobody_asks_again(store: Store, clock: Clock) -> None:
    permits = Permits(store, clock)
    await outcomes(permits, limit("5/minute"), 6)
    before = store.asked

    await outcomes(permits, limit("5/minute"), 100)

    assert store.asked == before


async def test_a_new_window_has_the_whole_quota_and_nothing_of_the_old(store: Store, clock: Clock) -> None:
    permits = Permits(store, clock)
    await outcomes(permits, limit("600/minute"), 1)  # holds two more

    clock.now += 60

    assert await outcomes(permits, limit("600/minute"), 700) == {True: 600, False: 100}


async def test_a_clock_set_back_does_not_keep_the_old_window(store: Store, clock: Clock) -> None:
    permits = Permits(store, clock)
    await outcomes(permits, limit("5/minute"), 6)

    clock.now -= 3600

    assert await outcomes(permits, limit("5/minute"), 5) == {True: 5}


async def test_a_standing_counts_down_to_the_windows_end(store: Store, clock: Clock) -> None:
    permits = Permits(store, clock)

    first, second = await permits.take(limit("5/minute"), "a"), await permits.take(limit("5/minute"), "a")

    assert first
    assert second
    assert (first.remaining, second.remaining) == (4, 3)
    clock.now += first.resets_in_seconds
    after = await permits.take(limit("5/minute"), "a")
    assert after
    assert after.remaining == 4


async def test_owners_do_not_all_begin_at_the_same_moment(store: Store, clock: Clock) -> None:
    permits = Permits(store, clock)

    resets = {(await permits.take(limit("5/minute"), owner)).resets_in_seconds for owner in "abcdefgh"}  # type: ignore[union-attr]

    assert len(resets) > 1


class TestAStorageThatFails:
    async def test_nothing_is_counted_and_it_rests(self, store: Store, clock: Clock) -> None:
        store.refuses = True
        permits = Permits(store, clock)

        found = [await permits.take(limit("5/minute"), f"{number}") for number in range(50)]

        assert set(found) == {None}
        assert store.asked == 1

    async def test_those_who_wait_with_the_first_do_not_ask_after_it(self, store: Store, clock: Clock) -> None:
        store.refuses = True

        assert await outcomes(Permits(store, clock), limit("5/minute"), 50) == {None: 50}
        assert store.asked == 1

    async def test_a_silent_one_is_not_waited_for_in_the_end(self, store: Store, clock: Clock) -> None:
        store.answers.clear()
        permits = Permits(store, clock)

        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await outcomes(permits, limit("5/minute"), 50) == {None: 50}

    async def test_permits_in_hand_are_spent_all_the_same(self, store: Store, clock: Clock) -> None:
        permits = Permits(store, clock)
        await permits.take(limit("2000/minute"), "a")
        store.refuses = True

        assert await outcomes(permits, limit("2000/minute"), 9) == {True: 9}

    async def test_after_its_rest_one_request_finds_out_for_all(
        self, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.limits.permits._REST_SECONDS", 0.05)
        permits = Permits(store, clock)
        store.refuses = True
        await permits.take(limit("5/minute"), "a")
        store.refuses = False

        while await permits.take(limit("5/minute"), "a") is None:
            pass

        assert store.asked == 2
        assert await outcomes(permits, limit("5/minute"), 5) == {True: 4, False: 1}
