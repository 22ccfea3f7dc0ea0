"""What becomes of accepted tasks: done, retried, timed out, cancelled, given back."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import select, text

from services.tasks.models import TaskAttempt
from services.tasks.worker.runner import Runner
from shared.health import Readiness
from shared.postgres import Database
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.services.tasks.kinds import RELEASED
from tests.services.tasks.running import Installation, Tasks, eventually


def parsed(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


async def attempts(database: Database, task_id: str) -> list[TaskAttempt]:
    statement = select(TaskAttempt).where(TaskAttempt.task_id == task_id).order_by(TaskAttempt.number)
    async with database.session() as session:
        return list((await session.scalars(statement)).all())


async def test_a_task_is_done_and_shows_its_result(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.run("echo", {"text": "hello", "nested": {"n": [1, 2.5, None, "ü\u0000"]}})

    assert (task["status"], task["attempt"], task["error"]) == ("succeeded", 1, None)
    assert task["result"] == task["input"]
    assert task["progress"] == {"done": 1, "total": 1, "message": None}
    assert task["created_at"] <= task["started_at"] <= task["finished_at"]


async def test_the_service_as_it_is_built_blocks_nothing(
    installation: Installation, service_client: ServiceClient, tasks: Tasks, worker: FastAPI
) -> None:
    async with service_client("tasks", **installation.names) as client:
        task = await Tasks(client, tasks.user).run("echo", {"text": "through create_app"})

    assert task["status"] == "succeeded"


async def test_tasks_of_every_priority_are_done(tasks: Tasks, worker: FastAPI) -> None:
    made = [await tasks.submit("echo", priority=priority) for priority in ("low", "normal", "high")]

    assert [(await tasks.wait(task))["status"] for task in made] == ["succeeded"] * 3


async def test_high_priority_does_not_wait_for_a_backlog(
    new_installation: Callable[[], Installation], user: User
) -> None:
    fresh = new_installation()  # what others left would need slots too
    async with fresh.api() as client, fresh.worker(normal_slots=4):  # of which one is kept for others
        tasks = Tasks(client, user)
        slow = [await tasks.submit("test.sleep") for _ in range(5)]

        async def slots_are_taken() -> bool:
            statuses = [(await tasks.get(task))["status"] for task in slow]
            return sorted(statuses) == ["queued", "queued", "running", "running", "running"]

        await eventually(slots_are_taken)

        urgent = await tasks.run("echo", priority="high")

        assert urgent["status"] == "succeeded"
        assert await slots_are_taken()
        for task in slow:
            await tasks.cancel(task)


async def test_a_delayed_task_starts_when_it_is_due(tasks: Tasks, worker: FastAPI) -> None:
    due = datetime.now(UTC) + timedelta(seconds=1.5)

    task = await tasks.run("echo", run_at=due.isoformat())

    late = parsed(task["started_at"]) - due
    assert timedelta(0) <= late < timedelta(seconds=PATIENCE_SECONDS)


async def test_a_passing_failure_is_tried_again(tasks: Tasks, worker: FastAPI, database: Database) -> None:
    task = await tasks.run("test.fail", {"failures": 2})

    history = await attempts(database, task["id"])
    assert (task["status"], task["attempt"], task["error"]) == ("succeeded", 3, None)
    assert [one.error_code for one in history] == ["common.upstream_failed", "common.upstream_failed", None]
    assert all(one.finished_at for one in history)


async def test_used_up_attempts_make_a_dead_letter(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.run("test.fail", max_attempts=2)

    assert (task["status"], task["dead_letter"], task["attempt"]) == ("failed", True, 2)
    assert task["error"]["code"] == "common.upstream_failed"


@pytest.mark.parametrize("how", ["absent", "halfway"])
async def test_neither_absence_nor_progress_uses_up_an_attempt(tasks: Tasks, worker: FastAPI, how: str) -> None:
    task = await tasks.run("test.fail", {"how": how, "failures": 4}, max_attempts=1)

    assert (task["status"], task["attempt"]) == ("succeeded", 5)


async def test_an_absence_is_waited_out_for_so_long(installation: Installation, tasks: Tasks) -> None:
    async with installation.worker(absence_seconds=0):
        task = await tasks.run("test.fail", {"how": "absent"}, max_attempts=2)

    assert (task["status"], task["dead_letter"], task["attempt"]) == ("failed", True, 2)


async def test_the_same_progress_again_is_none(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.run("test.fail", {"how": "stuck"}, max_attempts=2)

    assert (task["status"], task["attempt"]) == ("failed", 3)


async def test_a_neighbour_that_restarts_fails_no_task(installation: Installation, tasks: Tasks) -> None:
    nowhere = {"auth": f"http://127.0.0.1:{free_port()}"}
    made = [await tasks.submit("test.whoami", max_attempts=1) for _ in range(5)]
    async with installation.worker(static_services=nowhere):
        for task in made:
            await tasks.wait(task, until=lambda read: read["attempt"] >= 2 and read["status"] == "queued")
    async with installation.worker():
        done = [await tasks.wait(task) for task in made]

    assert {task["status"] for task in done} == {"succeeded"}


async def test_a_hopeless_failure_is_not_tried_again(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.run("test.fail", {"how": "never"})

    assert (task["status"], task["dead_letter"], task["attempt"]) == ("failed", False, 1)
    assert task["error"] == {"code": "test.hopeless", "detail": "Trying again cannot help."}


async def test_a_bug_in_a_handler_shows_nothing_of_its_inside(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.run("test.fail", {"how": "bug"}, max_attempts=1)

    assert task["error"]["code"] == "tasks.internal"
    assert "secret" not in task["error"]["detail"]


async def test_a_result_beyond_the_bound_fails(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.run("test.large")

    assert (task["status"], task["error"]["code"]) == ("failed", "tasks.result_too_large")


async def test_an_attempt_past_its_timeout_is_stopped(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.run("test.sleep", timeout_seconds=1, max_attempts=1)

    ran = parsed(task["finished_at"]) - parsed(task["started_at"])
    assert (task["status"], task["error"]["code"]) == ("failed", "tasks.timed_out")
    assert ran < timedelta(seconds=PATIENCE_SECONDS)  # it would have slept for an hour


async def test_a_handler_that_does_not_stop_cannot_write_any_more(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.run("test.stubborn", {"seconds": 1.2}, timeout_seconds=1, max_attempts=1)

    assert (task["status"], task["error"]["code"], task["progress"]["done"]) == ("failed", "tasks.timed_out", 0)


async def test_cancelling_stops_a_running_task_at_once(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.submit("test.sleep")
    await tasks.wait(task, until=lambda read: read["progress"]["message"] == "sleeping")

    answer = await tasks.cancel(task)
    cancelled = await tasks.wait(task)  # a minute at the longest: it would have slept for an hour

    assert (answer.status_code, answer.json()["status"], answer.json()["cancel_requested"]) == (200, "running", True)
    assert (cancelled["status"], cancelled["error"]["code"]) == ("cancelled", "tasks.cancelled")


async def test_a_task_waiting_for_its_retry_can_be_cancelled(installation: Installation, tasks: Tasks) -> None:
    async with installation.worker(retry_base_seconds=60, retry_cap_seconds=3600):
        task = await tasks.submit("test.fail", retry={"base_seconds": 60, "jitter": "none"})
        await tasks.wait(task, until=lambda read: read["status"] == "queued" and read["attempt"] == 1)

        answer = await tasks.cancel(task)

    assert answer.json()["status"] == "cancelled"


async def test_a_worker_that_ends_gives_back_what_it_could_not_finish(
    installation: Installation, tasks: Tasks, database: Database
) -> None:
    task = await tasks.submit("test.sleep", {"attempts": 1}, max_attempts=1)
    async with installation.worker():
        await tasks.wait(task, until=lambda read: read["status"] == "running")
    given_back = await tasks.get(task)

    async with installation.worker():
        done = await tasks.wait(task)

    history = await attempts(database, task["id"])
    assert given_back["status"] == "queued"
    assert (done["status"], done["result"]) == ("succeeded", {"attempt": 2})
    assert [one.error_code for one in history] == ["tasks.interrupted", None]


async def test_a_worker_that_ends_lets_short_tasks_finish(
    installation: Installation, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is done right after the worker was told to end."""
    name, stop = new_id(), Runner.stop_accepting

    def stop_and_release(runner: Runner) -> None:
        stop(runner)
        RELEASED[name].set()

    monkeypatch.setattr(Runner, "stop_accepting", stop_and_release)
    task = await tasks.submit("test.hold", {"name": name, "waits": True})
    async with installation.worker(shutdown_seconds=60):
        await tasks.wait(task, until=lambda read: read["progress"]["done"])

    done = await tasks.get(task)
    assert (done["status"], done["attempt"]) == ("succeeded", 1)


async def test_a_task_too_old_to_start_expires(installation: Installation, tasks: Tasks, database: Database) -> None:
    task = await tasks.submit("echo", run_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    async with database.transaction() as session:
        overdue = text("UPDATE task SET run_at = now() - interval '8 days' WHERE id = :id")
        await session.execute(overdue, {"id": task["id"]})

    async with installation.worker():
        expired = await tasks.wait(task)

    assert (expired["status"], expired["error"]["code"], expired["attempt"]) == ("expired", "tasks.expired", 0)


async def test_progress_is_seen_while_the_task_runs(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.submit("test.sleep")

    running = await tasks.wait(task, until=lambda read: read["progress"]["done"])

    assert running["progress"] == {"done": 1, "total": 2, "message": "sleeping"}
    await tasks.cancel(task)


async def test_the_handler_acts_as_the_submitting_user(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.run("test.whoami")

    assert task["result"] == {"user_id": tasks.user.user_id}


async def test_the_worker_shows_health_and_metrics(tasks: Tasks, worker: FastAPI) -> None:
    await tasks.run("echo")

    readiness = await eventually(lambda: passing(worker))  # each check has a second at a time
    metrics = worker.state.metrics.render().decode()

    assert {"postgres", "rabbitmq"} <= readiness.checks.keys()
    assert 'tasks_attempt_duration_seconds_count{kind="echo",outcome="succeeded"}' in metrics


async def passing(worker: FastAPI) -> Readiness | None:
    """What its health says, where it is well."""
    readiness: Readiness = await worker.state.health.readiness()
    return readiness if readiness.status == "pass" else None
