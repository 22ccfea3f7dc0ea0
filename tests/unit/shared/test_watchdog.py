"""What outlives its limit by a tenth is ended, counted and told of."""

import asyncio

import pytest

from shared.ending import end
from shared.telemetry import Metrics
from shared.watchdog import Watchdog
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.unit.shared.test_ending import deaf


async def test_what_outlives_its_limit_is_ended_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    watchdog = Watchdog(metrics.outlived)
    tasks = [asyncio.create_task(deaf(cancels), name=f"deaf-{cancels}") for cancels in (0, 2)]
    for task in tasks:
        watchdog.watch("run", 0.001, task)
    await asyncio.sleep(0.01)  # the limit passes

    await watchdog.look()
    await asyncio.wait(tasks, timeout=PATIENCE_SECONDS)

    assert all(task.cancelled() for task in tasks)
    assert b'outlived_total{kind="run"} 2.0' in metrics.render()
    assert {record.fields["task"] for record in caplog.records} >= {"deaf-0", "deaf-2"}  # type: ignore[attr-defined]


async def test_what_is_within_its_limit_is_left_alone() -> None:
    watchdog = Watchdog(Metrics().outlived)
    task = asyncio.create_task(deaf(0))
    watchdog.watch("run", 60, task)

    await watchdog.look()

    assert task.cancelling() == 0
    await end(task)


async def test_what_is_done_is_watched_no_longer() -> None:
    watchdog = Watchdog(Metrics().outlived)
    watchdog.watch("run", 60, done := asyncio.create_task(asyncio.sleep(0)))
    released = watchdog.watch("request", 60)
    watchdog.release(released)
    await done
    await asyncio.sleep(0)

    assert not watchdog._watched
