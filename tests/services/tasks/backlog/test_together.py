"""What is begun and ended together is as each alone would be: once, by who holds it, waiting for nobody else's row."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, text

from services.tasks.domain import Claim
from services.tasks.models import Task, TaskAttempt, TaskEvent
from services.tasks.worker.attempt import Attempt, ProgressReport
from services.tasks.worker.claiming import claim_free
from services.tasks.worker.succeeding import Succeeded, succeed_free
from shared.postgres import Database
from tests.services.tasks.running import Installation, Tasks


@pytest.fixture
async def begun(greedy: Tasks, database: Database) -> dict[str, Claim]:
    """Three that run here, by their ids."""
    ids = [(await greedy.submit("echo", {"number": number}))["id"] for number in range(3)]
    return await claimed(database, ids)


async def claimed(database: Database, ids: list[str], *but: str) -> dict[str, Claim]:
    async with database.statements() as session:
        return await claim_free(session, ids, "worker", 30, but=but)


async def ended(database: Database, *attempts: Attempt) -> set[tuple[str, int]]:
    async with database.statements() as session:
        return await succeed_free(session, [Succeeded(attempt, '{"number":1}') for attempt in attempts])


async def row(database: Database, task_id: str) -> Task:
    async with database.session() as session:
        return (await session.scalars(select(Task).where(Task.id == task_id))).one()


@pytest.fixture
async def locked(database: Database, greedy: Tasks) -> AsyncIterator[str]:
    """A task whose row somebody holds."""
    task = await greedy.submit("echo")
    async with database.transaction() as session:
        await session.execute(text(f"SELECT FROM task WHERE id = '{task['id']}' FOR UPDATE"))
        yield task["id"]


async def test_each_is_claimed_once_with_an_attempt_of_its_own(begun: dict[str, Claim], database: Database) -> None:
    again = await claimed(database, list(begun))
    async with database.session() as session:
        attempts = (await session.scalars(select(TaskAttempt.number))).all()

    assert [claim.attempt for claim in begun.values()] == [1, 1, 1]
    assert again == {}
    assert list(attempts) == [1, 1, 1]


async def test_a_row_that_somebody_holds_keeps_no_other_waiting(greedy: Tasks, database: Database, locked: str) -> None:
    free = await greedy.submit("echo")

    assert list(await claimed(database, [locked, free["id"]])) == [free["id"]]


async def test_what_has_only_so_many_places_is_claimed_alone(greedy: Tasks, database: Database) -> None:
    task = await greedy.submit("echo")

    assert await claimed(database, [task["id"]], "echo") == {}


async def test_all_that_is_written_of_an_end_is_written(begun: dict[str, Claim], database: Database) -> None:
    attempts = [Attempt(claim) for claim in begun.values()]
    attempts[0].report(ProgressReport(3, 4, "nearly"))
    keys = await ended(database, *attempts)
    first = await row(database, attempts[0].claim.id)
    async with database.session() as session:
        told = (await session.scalars(select(TaskEvent.type).where(TaskEvent.task_id == first.id))).all()
        open_attempts = (await session.scalars(select(TaskAttempt).where(TaskAttempt.finished_at.is_(None)))).all()

    assert keys == {attempt.claim.key for attempt in attempts}
    assert (first.status, first.result, first.error_code, first.worker_id) == ("succeeded", '{"number":1}', None, None)
    assert (first.progress_done, first.progress_total, first.progress_message) == (3, 4, "nearly")
    assert sorted(told) == ["task.queued", "task.running", "task.succeeded"]
    assert list(open_attempts) == []


async def test_who_was_overtaken_ends_nothing(begun: dict[str, Claim], database: Database) -> None:
    late, own, _ = (Attempt(claim) for claim in begun.values())
    async with database.transaction() as session:
        taken_back = text("UPDATE task SET attempt = 2 WHERE id = :id")
        await session.execute(taken_back, {"id": late.claim.id})

    assert await ended(database, late, own) == {own.claim.key}
    assert (await row(database, late.claim.id)).status == "running"


async def test_what_is_waited_for_is_ended_alone(greedy: Tasks, begun: dict[str, Claim], database: Database) -> None:
    first, second, _ = (Attempt(claim) for claim in begun.values())
    await greedy.submit("echo", after={"ids": [first.claim.id]})

    assert await ended(database, first, second) == {second.claim.key}


async def test_of_an_owner_whose_others_wait_one_is_told_to_send_them(
    begun: dict[str, Claim], greedy: Tasks, database: Database
) -> None:
    waiting = await greedy.submit("echo")
    async with database.transaction() as session:
        await session.execute(text("UPDATE task SET enqueued_at = NULL WHERE id = :id"), {"id": waiting["id"]})
    attempts = [Attempt(claim) for claim in begun.values()]
    await ended(database, *attempts)

    assert [attempt.leaves_others_waiting for attempt in attempts] == [True] * 3
    assert [attempt.leaves_queue_low for attempt in attempts].count(True) == 1


async def test_a_burst_is_done_each_once(installation: Installation, greedy: Tasks, database: Database) -> None:
    made = [await greedy.submit("echo", {"number": number}) for number in range(40)]
    async with installation.worker():
        done = [await greedy.wait(task) for task in made]
    async with database.session() as session:
        attempts = (await session.scalars(select(TaskAttempt.task_id))).all()

    assert {(task["status"], task["attempt"]) for task in done} == {("succeeded", 1)}
    assert [task["result"]["number"] for task in done] == list(range(40))
    assert sorted(attempts) == sorted(task["id"] for task in made)
