"""A task that was told to end has ended, whatever it waits for."""

import asyncio
import time
from contextlib import suppress

import pytest

from shared.ending import UNENDED, end, within
from shared.loops import in_background, keep
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.unit.shared.test_loops import LOG


async def deaf(cancels: int) -> None:
    """Swallows as many cancels, as a library may."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancels -= 1
            if cancels < 0:
                raise


async def test_a_swallowed_cancel_is_repeated() -> None:
    task = asyncio.create_task(deaf(2))
    await asyncio.sleep(0)

    assert await end(task)
    assert task.cancelled()


async def test_a_task_that_never_ends_is_told_of_and_left(caplog: pytest.LogCaptureFixture) -> None:
    task, before = asyncio.create_task(deaf(1000), name="deaf"), UNENDED._value.get()
    await asyncio.sleep(0)

    assert not await end(task, within_seconds=0.05)

    assert UNENDED._value.get() == before + 1
    [record] = [one for one in caplog.records if one.message == "a task does not end"]
    assert record.fields["task"] == "deaf"  # type: ignore[attr-defined]
    assert "in deaf" in record.fields["stack"]  # type: ignore[attr-defined]
    for _ in range(1001):
        task.cancel()
        await asyncio.sleep(0)


async def test_a_loop_that_lost_its_cancel_stops_by_itself() -> None:
    begun = asyncio.Event()

    async def step() -> None:
        begun.set()
        with suppress(asyncio.CancelledError):  # as a library may
            await asyncio.sleep(60)

    async with asyncio.timeout(PATIENCE_SECONDS), in_background(keep(step, log=LOG)):
        await begun.wait()


async def test_work_that_is_done_in_time_gives_its_result() -> None:
    assert await within(5, asyncio.sleep(0, "done")) == "done"


@pytest.mark.parametrize("cancels", [0, 1, 1000])
async def test_work_that_takes_too_long_is_left_whatever_it_swallows(cancels: int) -> None:
    began = time.monotonic()

    with pytest.raises(TimeoutError):
        await within(0.05, deaf(cancels))

    assert time.monotonic() - began < 30
    await _wake_the_deaf()


async def test_work_is_stopped_by_more_than_a_cancel() -> None:
    stop: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
    stop.set_result(KeyError("stopped"))

    with pytest.raises(KeyError):
        await within(60, deaf(1), stop=stop)


async def _wake_the_deaf() -> None:
    for task in asyncio.all_tasks():
        while getattr(task.get_coro(), "__name__", "") == "deaf" and not task.done():
            task.cancel()
            await asyncio.sleep(0)
