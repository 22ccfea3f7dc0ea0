"""Readiness: each probe has a second, whatever it does, and what is found says what to do."""

import asyncio

import pytest

from shared import health as module
from shared.errors import StorageFull, Unavailable
from shared.health import Finding, Health
from tests.fixtures.patience import PATIENCE_SECONDS

REMEDY = "restart it"


class Stuck:
    """A probe that hears no cancel."""

    def __init__(self) -> None:
        self.begun = 0
        self.released = asyncio.Event()

    async def probe(self) -> None:
        self.begun += 1
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.1)
    monkeypatch.setattr(module, "_CACHE_SECONDS", 0.0)


async def well() -> None:
    return None


async def test_a_probe_that_does_not_end_costs_its_limit_and_is_not_begun_again() -> None:
    health, stuck = Health(), Stuck()
    health.add("store", stuck.probe, remedy=REMEDY)
    health.add("other", well, remedy=REMEDY)

    async with asyncio.timeout(PATIENCE_SECONDS):  # the probe itself never ends
        first, second = await health.readiness(), await health.readiness()

    assert stuck.begun == 1
    assert first.checks["store"]["detail"] == "store has not done a small piece of work in 0.1 s: restart it"
    assert (second.status, second.checks["other"]["status"]) == ("fail", "pass")

    stuck.released.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await health.readiness()).status != "pass":
            pass
    assert stuck.begun > 1


async def test_all_probes_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_SECONDS", PATIENCE_SECONDS)
    health = Health()
    both = asyncio.Barrier(2)
    health.add("one", both.wait, remedy=REMEDY)
    health.add("two", both.wait, remedy=REMEDY)

    assert (await health.readiness()).status == "pass"


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (Finding("store refuses writes"), "store refuses writes: restart it"),
        (Finding("store has lost its data", "restore it"), "store has lost its data: restore it"),
        (Unavailable("store"), "store is not available right now: restart it"),
        (StorageFull("store"), "store has no room to write now: restart it"),
        (RuntimeError("password=hunter2"), "store does not work: restart it"),
        (TimeoutError(), "store has not done a small piece of work in 0.1 s: restart it"),
    ],
    ids=["finding", "own remedy", "away", "full", "driver", "slow"],
)
async def test_what_is_found_says_what_to_do_and_nothing_of_the_inside(raised: Exception, told: str) -> None:
    async def probe() -> None:
        raise raised

    health = Health()
    health.add("store", probe, remedy=REMEDY, hard=False)

    found = await health.readiness()

    assert (found.status, found.checks["store"]["detail"]) == ("warn", told)


async def test_an_outcome_serves_all_who_ask_in_the_next_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CACHE_SECONDS", 60.0)
    asked = 0

    async def probe() -> None:
        nonlocal asked
        asked += 1

    health = Health()
    health.add("store", probe, remedy=REMEDY)

    await asyncio.gather(*(health.readiness() for _ in range(10)))

    assert asked == 1


async def test_the_later_check_of_a_name_is_the_one() -> None:
    health = Health()
    health.add("redis", well, remedy=REMEDY, hard=False)
    health.add("redis", well, remedy=REMEDY)

    assert health.checks == {"redis": True}
