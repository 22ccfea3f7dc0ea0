"""What happened to a task can be read: each attempt with its error, each line that its handler said."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.tasks.domain import MAX_LOG_CHARS, MAX_LOG_LINES, LogLevel, TaskStatus
from services.tasks.models import Task
from services.tasks.worker.log import TaskLog
from services.tasks.worker.repository import WorkRepository
from shared.postgres import Database
from tests.fixtures.identity import RegisterUser, User
from tests.services.tasks.running import Tasks, eventually


async def read(tasks: Tasks, task: dict[str, Any], what: str, **query: Any) -> dict[str, Any]:
    answer = await tasks.client.get(f"/api/v1/tasks/{task['id']}/{what}", params=query, headers=tasks.user.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def pages(tasks: Tasks, task: dict[str, Any], what: str, limit: int) -> list[dict[str, Any]]:
    items, cursor = [], None
    while True:
        page = await read(tasks, task, what, limit=limit, **({"cursor": cursor} if cursor else {}))
        items += page["items"]
        if (cursor := page["next_cursor"]) is None:
            return items


async def test_each_attempt_is_kept_with_its_error(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.run("test.fail", {"failures": 2}, max_attempts=3)

    attempts = await pages(tasks, task, "attempts", limit=2)

    assert [one["number"] for one in attempts] == [1, 2, 3]
    assert [one["outcome"] for one in attempts] == ["failed", "failed", "succeeded"]
    assert [one["error"] and one["error"]["code"] for one in attempts] == ["common.upstream_failed"] * 2 + [None]
    assert all(one["started_at"] <= one["finished_at"] for one in attempts)
    assert all("worker" not in name for one in attempts for name in one)


async def test_an_attempt_that_was_cancelled_says_so(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.submit("test.sleep")
    await tasks.wait(task, lambda now: now["status"] == "running")
    [running] = (await read(tasks, task, "attempts"))["items"]
    await tasks.cancel(task)
    await tasks.wait(task)

    [ended] = (await read(tasks, task, "attempts"))["items"]

    assert (running["outcome"], running["finished_at"]) == ("running", None)
    assert (ended["outcome"], ended["error"]["code"]) == ("cancelled", "tasks.cancelled")


async def test_a_log_has_what_every_attempt_said(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.run("test.say", {"lines": 3, "failures": 1})

    lines = await pages(tasks, task, "log", limit=2)

    assert [(one["attempt"], one["message"]) for one in lines[:-1]] == [
        (n, f"line {m}") for n in (1, 2) for m in range(3)
    ]
    assert (lines[-1]["level"], lines[-1]["message"]) == ("warning", "y" * MAX_LOG_CHARS)
    assert [one["number"] for one in lines] == sorted({one["number"] for one in lines})
    assert (await read(tasks, task, "log"))["dropped"] == 0


async def test_a_log_can_be_read_while_the_task_runs(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.submit("test.say", {"lines": 2, "seconds": 60})

    await tasks.wait(task, lambda now: now["status"] == "running")

    async def said() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await read(tasks, task, "log"))["items"]
        return found

    lines = await eventually(said)
    await tasks.cancel(task)

    assert [one["message"] for one in lines] == ["line 0", "line 1"]


async def test_a_log_keeps_the_first_lines_and_counts_the_others(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.run("test.say", {"lines": MAX_LOG_LINES - 100, "failures": 1})

    lines = await pages(tasks, task, "log", limit=100)

    assert len(lines) == MAX_LOG_LINES
    assert [one["attempt"] for one in lines].count(2) == 100
    assert (await read(tasks, task, "log"))["dropped"] == MAX_LOG_LINES - 199


async def test_lines_are_written_once_however_often_and_by_nobody_who_lost_the_task(
    api: httpx.AsyncClient, register_user: RegisterUser, database: Database
) -> None:
    tasks = Tasks(api, await register_user())  # who has nothing else waiting, so that it is sent at once
    task = await tasks.submit("test.say")
    async with database.transaction() as session:
        claim = await WorkRepository(session).claim(task["id"], "worker", lease_seconds=60)
    assert claim is not None
    log = TaskLog(0, 0)
    log.add("one", LogLevel.INFO)
    first = log.unwritten()
    log.add("two", LogLevel.INFO)
    late = TaskLog(0, 0)
    late.add("late", LogLevel.INFO)

    for key, part in [
        (claim.key, first),
        (claim.key, first),
        (claim.key, log.unwritten()),
        ((claim.id, 7), late.unwritten()),
    ]:
        assert part is not None
        async with database.transaction() as session:
            await WorkRepository(session).write_log(key, part)

    assert [one["message"] for one in (await read(tasks, task, "log"))["items"]] == ["one", "two"]
    async with database.transaction() as session:
        kept = await session.get_one(Task, task["id"])
        assert (kept.log_lines, kept.status) == (2, TaskStatus.RUNNING)
        await session.delete(kept)


@pytest.mark.parametrize("what", ["attempts", "log"])
async def test_the_history_of_anothers_task_is_not_there(tasks: Tasks, other_user: User, what: str) -> None:
    task = await tasks.submit("echo")

    answer = await tasks.client.get(f"/api/v1/tasks/{task['id']}/{what}", headers=other_user.headers)

    assert (answer.status_code, answer.json()["code"]) == (404, "tasks.not_found")
