"""No tenant's backlog keeps a neighbour's task waiting, and what waits for its owner's turn loses nothing by it."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime

from sqlalchemy import text

from services.tasks.worker.recovery import RecoveryRepository
from shared.postgres import Database
from shared.telemetry import Metrics
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.tasks.running import Installation, Tasks, eventually

LONG, MANY = {"seconds": 600}, 500


async def flood(tasks: Tasks, many: int = MANY) -> list[dict[str, object]]:
    return list(await asyncio.gather(*(tasks.submit("test.sleep", LONG) for _ in range(many))))


async def count(database: Database, which: str) -> int:
    async with database.session() as session:
        return await session.scalar(text(f"SELECT count(*) FROM task WHERE {which}")) or 0  # noqa: S608 - ours


async def test_one_task_begins_behind_five_hundred_long_ones(
    installation: Installation, greedy: Tasks, modest: Tasks, database: Database
) -> None:
    running: list[int] = []

    async def has_all_but_a_few() -> bool:
        """One that was called back while the other was there has its place again after a while."""
        running.append(await running_of(database, greedy))
        return running[-1] == 28

    await flood(greedy)
    async with installation.worker():
        await eventually(lambda: count(database, "status = 'running'"))
        done = await modest.run("echo", {"text": "and I?"})
        await eventually(has_all_but_a_few)

    waited = datetime.fromisoformat(done["started_at"]) - datetime.fromisoformat(done["created_at"])
    assert (done["status"], done["attempt"]) == ("succeeded", 1)
    assert waited.total_seconds() < PATIENCE_SECONDS  # the others take five minutes
    assert max(running) == 28  # of 32, an eighth of which is kept for others


async def test_the_place_of_one_that_ended_goes_to_the_next_of_its_owner(
    installation: Installation, greedy: Tasks, database: Database
) -> None:
    made = [await greedy.submit("test.sleep", {"seconds": 0.5}) for _ in range(12)]
    async with installation.worker(normal_slots=8, reconcile_seconds=60):  # nothing else would send them again
        done = [await greedy.wait(task) for task in made]

    assert {(task["status"], task["attempt"]) for task in done} == {("succeeded", 1)}
    assert await count(database, "interruptions > 0") == 0


async def test_what_was_put_off_says_so_and_can_be_cancelled(
    installation: Installation, greedy: Tasks, database: Database
) -> None:
    async with installation.worker(normal_slots=4) as app:
        await flood(greedy, 5)
        await eventually(lambda: put_off(app.state.metrics))
        await eventually(lambda: _is(running_of(database, greedy), 3))  # whoever has a place has begun
        (waiting, *_) = [task for task in await listed(greedy) if task["status"] == "queued"]
        cancelled = await greedy.cancel(waiting)

    assert (waiting["attempt"], waiting["error"]) == (0, None)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")


async def test_a_kind_that_works_here_keeps_to_its_owners_share(
    installation: Installation, greedy: Tasks, database: Database
) -> None:
    """More at once would be slower, each."""
    async with installation.worker(normal_slots=8, shutdown_seconds=0.1) as app:
        made = [await greedy.submit("test.hold", {"name": f"share {n}", "waits": True}) for n in range(4)]
        await eventually(lambda: put_off(app.state.metrics))
        await eventually(lambda: _is(running_of(database, greedy), 2))  # a place is taken before that is written
        running = await running_of(database, greedy)
        for task in made:
            await greedy.cancel(task)

    assert running == 2


async def running_of(database: Database, tasks: Tasks) -> int:
    return await count(database, f"status = 'running' AND tenant_id = '{tasks.user.tenant_id}'")


async def test_what_was_lent_is_called_back_and_goes_on_when_the_others_have_done(
    installation: Installation, greedy: Tasks, modest: Tasks, database: Database
) -> None:
    """A place that was given up costs no attempt: each of these has one."""
    async with installation.worker(normal_slots=16):  # of which a user has four, and two are kept
        for _ in range(20):
            await greedy.submit("test.sleep", LONG, max_attempts=1)
        await eventually(lambda: _is(running_of(database, greedy), 14))
        began = [await modest.submit("test.sleep", LONG) for _ in range(4)]
        await eventually(lambda: _is(running_of(database, modest), 4))
        beside = await running_of(database, greedy)
        await eventually(lambda: _is(running_of(database, greedy), 10))  # the two are kept again
        for task in began:
            await modest.cancel(task)
        done = [await modest.wait(task) for task in began]
        await eventually(lambda: _is(running_of(database, greedy), 14))
        taken = await history(greedy, database)

    assert beside <= 12
    assert {(task["status"], task["attempt"]) for task in done} == {("cancelled", 1)}
    assert taken[0] == "interrupted"
    assert await count(database, "status NOT IN ('running', 'queued', 'cancelled')") == 0
    assert await count(database, "attempt - interruptions > 1") == 0


async def _is(asked: Awaitable[int], expected: int) -> bool:
    return await asked == expected


async def history(tasks: Tasks, database: Database) -> list[str]:
    """How the attempts of one that gave its place ended."""
    async with database.session() as session:
        task_id = await session.scalar(text("SELECT id FROM task WHERE interruptions > 0 LIMIT 1"))
    answer = await tasks.client.get(f"/api/v1/tasks/{task_id}/attempts", headers=tasks.user.headers)
    assert answer.status_code == 200, answer.text
    return [attempt["outcome"] for attempt in answer.json()["items"]]


async def put_off(metrics: Metrics) -> bool:
    return "tasks_put_off_total 0.0" not in metrics.render().decode()


async def listed(tasks: Tasks) -> list[dict[str, object]]:
    answer = await tasks.client.get("/api/v1/tasks/list", headers=tasks.user.headers)
    items: list[dict[str, object]] = answer.json()["items"]
    return items


async def test_each_round_sends_some_of_every_owner_the_oldest_first(
    greedy: Tasks, modest: Tasks, database: Database
) -> None:
    theirs, own = await flood(greedy, 20), await modest.submit("echo")
    async with database.transaction() as session:
        await session.execute(text("UPDATE task SET enqueued_at = NULL"))

    async with database.transaction() as session:
        first = await RecoveryRepository(session).take_due(most=8)
    async with database.transaction() as session:
        second = await RecoveryRepository(session).take_due(most=8)

    oldest = sorted(str(task["id"]) for task in theirs)
    assert sorted(task.id for task in first) == sorted([*oldest[:8], own["id"]])
    assert {task.tenant_id for task in second} == {greedy.user.tenant_id}
    assert len(second) == 8


async def test_the_next_of_an_owner_is_found_by_its_index(greedy: Tasks, database: Database) -> None:
    await greedy.submit("echo")
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        statement = (
            "EXPLAIN SELECT id FROM task WHERE status = 'queued' AND enqueued_at IS NULL AND waiting_for = 0 "
            "AND NOT waits_for_key AND priority = 'normal' "
            "AND tenant_id = 'a' AND user_id = 'b' AND run_at <= now() ORDER BY run_at LIMIT 1"
        )
        plan = "\n".join((await session.scalars(text(statement))).all())

    assert "ix_task_turn" in plan
