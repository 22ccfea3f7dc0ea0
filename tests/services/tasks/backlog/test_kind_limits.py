"""Of a kind with a limit no more tasks run at once than it says, in all workers together; every tenant has its turn."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from services.tasks.domain import Priority, Ticket
from services.tasks.health import Waiting
from services.tasks.worker import kind_places
from services.tasks.worker.kind_places import LeftOut, has_place, next_of_kind
from services.tasks.worker.main import create_app
from shared.postgres import Database
from tests.services.tasks.kinds import RELEASED, TRACES
from tests.services.tasks.running import Installation, Tasks, eventually

WAITS = {"waits": True}


@pytest.fixture
def limits() -> dict[str, int]:
    """Two of `test.hold` at once, and one of `test.trace` and of `test.sleep`."""
    return {"test.hold": 2, "test.trace": 1, "test.sleep": 1}


async def running(database: Database, kind: str) -> list[tuple[Any, ...]]:
    async with database.session() as session:
        found = text("SELECT id::text, worker_id FROM task WHERE status = 'running' AND kind = :kind ORDER BY id")
        return [tuple(row) for row in await session.execute(found, {"kind": kind})]


async def held(tasks: Tasks, name: str) -> dict[str, Any]:
    return await tasks.submit("test.hold", WAITS | {"name": name})


async def test_two_workers_run_no_more_than_the_limit_and_go_on_as_soon_as_one_ends(
    installation: Installation, greedy: Tasks, database: Database
) -> None:
    names = [f"limit-{number}" for number in range(6)]
    made = [await held(greedy, name) for name in names]
    seen: list[int] = []

    async def how_many() -> int:
        seen.append(len(await running(database, "test.hold")))
        return seen[-1]

    async with installation.worker(), installation.worker():
        for name in names:
            await eventually(lambda: _is(how_many, min(2, 6 - names.index(name))))  # noqa: B023 - at once
            started = {str(task_id) for task_id, _ in await running(database, "test.hold")}
            assert (await greedy.run("echo"))["status"] == "succeeded"  # of another kind
            [now] = [task for task in made if task["id"] in started][:1]
            RELEASED[names[made.index(now)]].set()
            await greedy.wait(now)
        done = [await greedy.get(task) for task in made]

    assert max(seen) == 2
    assert {(task["status"], task["attempt"]) for task in done} == {("succeeded", 1)}


async def _is(count: Callable[[], Any], wanted: int) -> bool:
    return bool(await count() == wanted)


async def test_the_next_is_sent_by_whoever_ends_one(installation: Installation, greedy: Tasks) -> None:
    made = [await greedy.submit("test.trace", {"name": "sent", "number": number}) for number in range(10)]

    async with installation.worker(reconcile_seconds=60):  # which looks once, as it starts
        done = [await greedy.wait(task) for task in made]

    assert {task["status"] for task in done} == {"succeeded"}
    assert TRACES["sent"] == [(what, number) for number in range(10) for what in ("entered", "left")]


async def test_a_tenant_with_one_task_waits_for_no_neighbours_hundred(
    installation: Installation, greedy: Tasks, modest: Tasks
) -> None:
    made = await asyncio.gather(
        *(greedy.submit("test.trace", {"name": "fair", "number": number}) for number in range(100))
    )
    own = await modest.submit("test.trace", {"name": "fair", "number": 1000})

    async with installation.worker():
        await modest.wait(own)
        for task in made:
            await greedy.wait(task, seconds=60)

    before = TRACES["fair"].index(("entered", 1000))
    assert before < 100  # of 202: it draws one of two lots at each turn, and fifty lost would be one in 2**50
    assert len(TRACES["fair"]) == 202


async def test_the_place_of_a_killed_worker_comes_back_with_its_lease(
    installation: Installation, greedy: Tasks, database: Database
) -> None:
    async with installation.worker_process() as process:
        lost = await greedy.submit("test.sleep", {"seconds": 600, "attempts": 1})
        await eventually(lambda: running(database, "test.sleep"))
        other = await greedy.submit("test.sleep", {"seconds": 0})
        process.kill()
    async with installation.worker(lease_seconds=6):
        done = [await greedy.wait(task, seconds=60) for task in (lost, other)]

    assert [(task["status"], task["attempt"]) for task in done] == [("succeeded", 2), ("succeeded", 1)]


async def test_a_message_that_comes_when_all_places_are_taken_costs_no_attempt(
    installation: Installation, greedy: Tasks, database: Database
) -> None:
    """As one of an API that knows of no limit."""
    made = [await greedy.submit("test.sleep", {"seconds": 600}) for _ in range(3)]
    async with database.transaction() as session:
        await session.execute(text("UPDATE task SET enqueued_at = now() - interval '1 hour'"))  # sent, and heard of

    async with installation.worker(republish_seconds=0.5) as app:
        await eventually(lambda: running(database, "test.sleep"))
        await eventually(lambda: _has_put_off(app.state.metrics))
        read = [await greedy.get(task) for task in made]
        assert len(await running(database, "test.sleep")) == 1

    assert sorted(task["attempt"] for task in read) == [0, 0, 1]


async def _has_put_off(metrics: Any) -> bool:
    return "tasks_put_off_total 0.0" not in metrics.render().decode()


async def test_what_waits_for_its_kind_is_no_warning_and_kinds_say_their_limit(
    installation: Installation, greedy: Tasks, modest: Tasks, database: Database
) -> None:
    looks = Waiting(database, ["test.sleep"])
    async with installation.worker():
        await greedy.submit("test.sleep", {"seconds": 600})
        await eventually(lambda: running(database, "test.sleep"))
        waiting = await modest.submit("test.sleep", {"seconds": 600})
        async with database.transaction() as session:
            old = text("UPDATE task SET run_at = now() - interval '1 day' WHERE id = :id")
            await session.execute(old, {"id": waiting["id"]})
        while_one_runs = [await looks.seconds(), await Waiting(database).seconds()]
        kinds = (await greedy.client.get("/api/v1/tasks/kinds", headers=greedy.user.headers)).json()["items"]

    assert [seconds > 3600 for seconds in while_one_runs] == [False, True]
    assert await looks.seconds() > 3600  # nobody serves its kind any more
    assert {kind["name"]: kind["at_once"] for kind in kinds if kind["at_once"]} == {
        "test.hold": 2,
        "test.sleep": 1,
        "test.trace": 1,
    }


async def test_a_limit_of_a_kind_that_nobody_has_ends_the_start(installation: Installation) -> None:
    with pytest.raises(Exception, match="there is no kind nowhere"):
        create_app(installation.worker_settings(task_kind_limits={"nowhere": 1}))


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('tasks.kind:' || CAST(:kind AS text), 0))")


async def test_a_worker_that_is_frozen_in_its_turn_holds_nobody_up_who_ends_one(
    installation: Installation, greedy: Tasks, database: Database
) -> None:
    async with installation.worker():
        first = await held(greedy, "frozen")
        await eventually(lambda: running(database, "test.hold"))
        async with database.transaction() as session:  # as the other worker's, which says no more
            await session.execute(_LOCK, {"kind": "test.hold"})
            second = await held(greedy, "thawed")
            RELEASED["frozen"].set()
            ended = await greedy.wait(first)
            not_begun = await greedy.get(second)
            meanwhile = await greedy.run("echo")
        RELEASED["thawed"].set()
        done = await greedy.wait(second)

    assert [one["status"] for one in (ended, not_begun, meanwhile, done)] == [
        "succeeded",
        "queued",
        "succeeded",
        "succeeded",
    ]
    assert done["attempt"] == 1


async def test_no_place_is_waited_for_behind_a_turn_that_does_not_end(
    installation: Installation, greedy: Tasks, database: Database
) -> None:
    task = await held(greedy, "behind")
    async with database.transaction() as frozen, database.transaction() as session:
        await frozen.execute(_LOCK, {"kind": "test.hold"})
        behind = await has_place(session, task["id"], {"test.hold": 2})
        of_kind = await next_of_kind(session, "test.hold", 2, waits=True)
    async with database.transaction() as session:
        later = await has_place(session, task["id"], {"test.hold": 2})

    assert [behind, of_kind, later] == [False, [], True]


async def test_an_owner_who_can_run_nothing_more_leaves_the_places_to_others(
    greedy: Tasks, modest: Tasks, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has none running would be the first to get one."""
    monkeypatch.setattr(kind_places, "_LEFT_OUT_SECONDS", 3600)
    own = [await held(greedy, f"left-out-{number}") for number in range(3)]
    left_out = LeftOut()
    ticket = Ticket(own[0]["id"], greedy.user.tenant_id, greedy.user.user_id)
    left_out.note(ticket, Priority.NORMAL)
    async with database.session() as session:
        alone = await next_of_kind(session, "test.hold", 1, waits=False, but=left_out)
    other = await held(modest, "not-left-out")
    async with database.session() as session:
        both = await next_of_kind(session, "test.hold", 4, waits=False, but=left_out)
        later = await next_of_kind(session, "test.hold", 4, waits=False)

    assert [alone, both] == [[], [other["id"]]]
    assert len(later) == 4
