"""When a task begins at the latest, and how it wants to be tried again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select, text

from services.tasks.models import TaskAttempt
from services.tasks.worker.repository import WorkRepository
from shared.postgres import Database
from tests.fixtures.identity import User
from tests.services.tasks.running import Installation, Tasks


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def have_passed(database: Database, task: dict[str, Any]) -> None:
    """Its time to begin, as if it had waited."""
    past = text("UPDATE task SET start_before = now() - interval '1 second' WHERE id = :id")
    async with database.transaction() as session:
        await session.execute(past, {"id": task["id"]})


async def test_one_that_would_begin_too_late_expires(new_installation: Callable[[], Installation], user: User) -> None:
    fresh = new_installation()
    async with fresh.api() as client, fresh.database() as database:
        tasks = Tasks(client, user)
        late, timely = [await tasks.submit("echo", start_before=in_seconds(600)) for _ in range(2)]
        await have_passed(database, late)
        async with database.transaction() as session:
            claimed = await WorkRepository(session).claim(late["id"], "worker", 30)
        async with fresh.worker():
            ended = [await tasks.wait(task) for task in (late, timely)]

    assert claimed is None
    assert [task["status"] for task in ended] == ["expired", "succeeded"]
    assert (ended[0]["error"]["code"], ended[0]["attempt"]) == ("tasks.expired", 0)


async def test_one_that_began_in_time_is_tried_again_later(tasks: Tasks, worker: FastAPI, database: Database) -> None:
    task = await tasks.submit(
        "test.fail",
        {"failures": 1},
        start_before=in_seconds(600),
        retry={"base_seconds": 600, "cap_seconds": 600, "jitter": "none"},
    )
    await tasks.wait(task, lambda read: (read["attempt"], read["status"]) == (1, "queued"))
    await have_passed(database, task)
    async with database.transaction() as session:
        await session.execute(text("UPDATE task SET run_at = now() WHERE id = :id"), {"id": task["id"]})

    assert (await tasks.wait(task))["status"] == "succeeded"


async def test_waits_are_as_the_task_wants_them(tasks: Tasks, worker: FastAPI, database: Database) -> None:
    wishes = {"max_attempts": 4, "base_seconds": 0.4, "cap_seconds": 0.8, "jitter": "none"}
    failed = await tasks.run("test.fail", retry=wishes)

    statement = select(TaskAttempt).where(TaskAttempt.task_id == failed["id"]).order_by(TaskAttempt.number)
    async with database.session() as session:
        made = list((await session.scalars(statement)).all())
    waits = [(after.started_at - before.finished_at).total_seconds() for before, after in pairwise(made)]  # type: ignore[operator]
    assert (failed["max_attempts"], failed["attempt"], failed["dead_letter"]) == (4, 4, True)
    assert [wait >= least for wait, least in zip(waits, (0.4, 0.8, 0.8), strict=True)] == [True] * 3
    assert failed["retry"] == wishes | {"not_on": None}


@pytest.mark.parametrize(("not_on", "attempts"), [(["common.upstream_failed"], 1), (["common.invalid"], 3)])
async def test_after_an_error_that_it_names_there_is_no_other_attempt(
    tasks: Tasks, worker: FastAPI, not_on: list[str], attempts: int
) -> None:
    quick = {"base_seconds": 0.01, "not_on": not_on}

    failed = await tasks.run("test.fail", retry=quick)

    assert (failed["status"], failed["attempt"], failed["dead_letter"]) == ("failed", attempts, attempts == 3)
    assert failed["error"]["code"] == "common.upstream_failed"
