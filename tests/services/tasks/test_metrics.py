"""What the metrics of tasks say: how the queue stands, how late work begins, what came of it, and what came twice."""

import math
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from services.tasks import instruments
from services.tasks.health import Waiting
from services.tasks.instruments import QueueGauges
from services.tasks.models import OutboxRow
from shared.errors import Unavailable
from shared.postgres import Database, Outbox
from shared.schemas import new_id
from shared.telemetry import Metrics
from tests.fixtures.identity import User
from tests.services.tasks.running import Installation, Tasks, eventually


@pytest.fixture
def installation(new_installation: Callable[[], Installation]) -> Installation:
    """Of its own: what others have queued would be counted."""
    return new_installation()


@pytest.fixture
async def tasks(installation: Installation, user: User, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tasks]:
    monkeypatch.setattr(instruments, "EVERY_SECONDS", 0.2)
    async with installation.api() as client:
        yield Tasks(client, user)


@pytest.fixture
async def database(installation: Installation, tasks: Tasks) -> AsyncIterator[Database]:
    async with installation.database() as opened:
        yield opened


def read(exposed: str) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(exposed)
        for sample in family.samples
    }


async def exposed(tasks: Tasks) -> dict[tuple[str, ...], float]:
    return read((await tasks.client.get("/metrics")).text)


async def until(tasks: Tasks, name: tuple[str, ...], holds: Callable[[float], bool]) -> float:
    async def is_so() -> bool:
        return holds((await exposed(tasks)).get(name, math.nan))

    await eventually(is_so)
    return (await exposed(tasks))[name]


async def test_the_queue_is_told_by_priority_and_by_what_it_waits_for(tasks: Tasks, database: Database) -> None:
    for _ in range(3):
        await tasks.submit("echo")
    await tasks.submit("echo", priority="high")
    await tasks.submit("echo", priority="low", run_at=(datetime.now(UTC) + timedelta(days=1)).isoformat())
    waiting = await tasks.submit("echo")
    async with database.transaction() as session:
        old = text("UPDATE task SET enqueued_at = NULL, run_at = now() - interval '1 hour' WHERE id = :id")
        await session.execute(old, {"id": waiting["id"]})

    assert await until(tasks, ("tasks_queued", "normal", "due"), lambda number: number == 1) == 1
    assert await until(tasks, ("tasks_oldest_due_seconds",), lambda number: number >= 3600) < 7200
    # One state is counted after the other: what was sent may have been counted while the last one was among it.
    await until(tasks, ("tasks_queued", "normal", "sent"), lambda number: number == 3)
    said = await exposed(tasks)
    assert {name[1:]: number for name, number in said.items() if name[0] == "tasks_queued" and number} == {
        ("normal", "sent"): 3,
        ("high", "sent"): 1,
        ("low", "later"): 1,
        ("normal", "due"): 1,
    }
    assert said["tasks_oldest_due_seconds",] >= 3600
    assert said["tasks_outbox_oldest_seconds",] >= 0


async def test_repetitions_are_counted_apart(tasks: Tasks) -> None:
    headers = tasks.user.headers | {"Idempotency-Key": new_id()}
    body = {"kind": "echo", "input": {}}
    for _ in range(3):
        assert (await tasks.client.post("/api/v1/tasks/submit", json=body, headers=headers)).status_code == 202

    said = await exposed(tasks)
    assert (said["tasks_submits_total", "echo", "new"], said["tasks_submits_total", "echo", "repeated"]) == (1, 2)


async def test_a_worker_tells_how_late_it_began_and_what_came_of_it(
    installation: Installation, tasks: Tasks, database: Database
) -> None:
    made = await tasks.submit("echo")
    async with database.transaction() as session:
        await session.execute(text("UPDATE task SET run_at = now() - interval '1 hour'"))
    async with installation.worker() as app:
        await tasks.wait(made)
        await tasks.run("test.fail", {"how": "never"})
        ended = lambda: _ended(app.state.metrics)  # noqa: E731
        await eventually(ended)
        said = read(app.state.metrics.render().decode())

    assert said["tasks_start_lag_seconds_count", "normal"] == 2
    assert said["tasks_start_lag_seconds_sum", "normal"] >= 3600
    assert said["tasks_attempt_duration_seconds_count", "echo", "succeeded"] == 1


async def _ended(metrics: Metrics) -> bool:
    """Both: that an attempt has ended can be read a moment before it is counted."""
    ended = {("test.fail", "failed"), ("echo", "succeeded")}
    return {("tasks_attempt_duration_seconds_count", *one) for one in ended} <= read(metrics.render().decode()).keys()


async def test_no_more_is_counted_than_is_said(
    tasks: Tasks, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instruments, "COUNTED_TO", 2)
    for _ in range(3):
        await tasks.submit("echo")

    assert await until(tasks, ("tasks_queued", "normal", "sent"), lambda number: number > 1) == 2


async def test_what_cannot_be_looked_at_is_not_a_number(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    gauges = QueueGauges(database, Outbox(OutboxRow), [], metrics.registry)
    await gauges.look()
    before = read(metrics.render().decode())["tasks_oldest_due_seconds",]

    async def away(_self: Any) -> float:
        raise Unavailable("postgres")

    monkeypatch.setattr(Waiting, "seconds", away)
    with pytest.raises(Unavailable):
        await gauges.look()
    after = read(metrics.render().decode())

    assert before == 0
    gauges_of_it = ("tasks_queued", "tasks_oldest_due_seconds", "tasks_outbox_oldest_seconds")
    assert [name for name, number in after.items() if name[0] in gauges_of_it and not math.isnan(number)] == []
