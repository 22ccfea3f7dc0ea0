"""What ended long ago is deleted, with all that belongs to it; what has not ended never is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from services.tasks.keeping import Keeping
from services.tasks.kinds.echo import ECHO
from services.tasks.kinds.registry import KindRegistry
from services.tasks.worker import retention as sweeping
from services.tasks.worker.instruments import Instruments
from services.tasks.worker.retention import Retention
from shared.postgres import Database
from tests.fixtures.identity import User
from tests.services.tasks.kinds import TEST_KINDS
from tests.services.tasks.running import Installation, Tasks, eventually


def retention(database: Database, kinds: KindRegistry = TEST_KINDS, **keeping: Any) -> Retention:
    """With three days for all."""
    deleted = Instruments(CollectorRegistry()).deleted
    return Retention(database, kinds, Keeping(3, **keeping), deleted, every_seconds=60)


async def age(database: Database, tasks: list[dict[str, Any]], days: int) -> None:
    """Have them have happened so long ago."""
    moved = text(
        "UPDATE task SET finished_at = finished_at - make_interval(days => :days),"
        " created_at = created_at - make_interval(days => :days) WHERE id = ANY(:ids)"
    )
    async with database.transaction() as session:
        await session.execute(moved, {"days": days, "ids": [task["id"] for task in tasks]})


async def left(tasks: Tasks, made: list[dict[str, Any]]) -> list[bool]:
    """Which of them are still there."""
    paths = [f"/api/v1/tasks/status/{task['id']}" for task in made]
    return [(await tasks.client.get(path, headers=tasks.user.headers)).status_code == 200 for path in paths]


async def test_what_ended_long_ago_is_deleted(new_installation: Callable[[], Installation], user: User) -> None:
    fresh = new_installation()
    async with fresh.api() as client, fresh.database() as database:
        tasks = Tasks(client, user)
        waiting = await tasks.submit("echo", run_at=(datetime.now(UTC) + timedelta(days=1)).isoformat())
        async with fresh.worker():
            old, recent = [await tasks.run("echo") for _ in range(2)]
            other = await tasks.run("test.sleep", {"seconds": 0})
        await age(database, [old, other, waiting], 91)
        async with fresh.worker(republish_seconds=0.5):
            await eventually(lambda: are_gone(tasks, [old, other]))
        async with database.session() as session:
            attempts = (await session.scalars(text("SELECT task_id::text FROM task_attempt"))).all()

        assert await left(tasks, [waiting, recent]) == [True, True]
        assert attempts == [recent["id"]]


async def test_what_a_tenant_was_promised_holds(
    new_installation: Callable[[], Installation], user: User, other_user: User
) -> None:
    """To forget sooner, and to keep for longer, whatever is said of the kind."""
    fresh = new_installation()
    async with fresh.api() as client, fresh.database() as database:
        made = []
        for tasks in (Tasks(client, user), Tasks(client, other_user)):
            made += [(tasks, await tasks.submit(kind)) for kind in ("echo", "test.sleep")]
        for tasks, task in made:
            await tasks.cancel(task)
        await age(database, [task for _, task in made], 5)
        promised = {user.tenant_id: {"*": 4, "test.sleep": 30}}
        await retention(database, of_kinds={"echo": 10}, of_tenants=promised).sweep()

        assert [await left(tasks, [task]) for tasks, task in made] == [[False], [True], [True], [False]]


async def test_many_tenants_and_kinds_are_looked_at_in_turn(
    new_installation: Callable[[], Installation], user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_LOOKED_AT", 2)
    monkeypatch.setattr(sweeping, "_BATCH", 1)
    fresh = new_installation()
    async with fresh.api() as client, fresh.database() as database:
        tasks = Tasks(client, user)
        made = [await tasks.submit(kind) for kind in ("echo", "echo", "test.fail", "test.sleep")]
        young = [await tasks.submit(kind) for kind in ("echo", "test.fail", "test.sleep")]
        for task in [*made, *young]:
            await tasks.cancel(task)
        await age(database, made, 5)
        sweeper = retention(database)
        more = [await sweeper.sweep() for _ in range(5)]
        later = await tasks.submit("echo")
        await tasks.cancel(later)
        await age(database, [later], 5)
        more.append(await sweeper.sweep())

        # Two of echo, one after the other, until there are none; then the third kind, and from the beginning again.
        assert more == [True, True, False, True, False, True]
        assert await left(tasks, [*made, later, *young]) == [False] * 5 + [True] * 3


async def test_what_is_deleted_is_counted(new_installation: Callable[[], Installation], user: User) -> None:
    fresh = new_installation()
    async with fresh.api() as client, fresh.database() as database:
        tasks = Tasks(client, user)
        made = [await tasks.submit("echo") for _ in range(2)]
        for task in made:
            await tasks.cancel(task)
        await age(database, made, 5)
        registry = CollectorRegistry()
        deleted = Instruments(registry).deleted
        await Retention(database, TEST_KINDS, Keeping(3), deleted, every_seconds=60).sweep()

        assert registry.get_sample_value("tasks_deleted_total", {"kind": "echo"}) == 2


async def are_gone(tasks: Tasks, made: list[dict[str, Any]]) -> bool:
    return not any(await left(tasks, made))


async def test_a_kind_keeps_its_own_for_as_long_as_it_says(
    new_installation: Callable[[], Installation], user: User
) -> None:
    fresh = new_installation()
    async with fresh.api() as client, fresh.database() as database:
        tasks = Tasks(client, user)
        made = [await tasks.submit("echo"), await tasks.submit("test.sleep")]
        for task in made:
            await tasks.cancel(task)
        await age(database, made, 5)
        others = [kind for kind in TEST_KINDS.list() if kind.name != "echo"]
        kinds = KindRegistry([replace(ECHO, retention_days=10), *others])
        await retention(database, kinds).sweep()

        assert await left(tasks, made) == [True, False]


@pytest.mark.parametrize("most", [0, 1])
async def test_what_the_database_does_not_delete_at_once_goes_in_smaller_parts(
    new_installation: Callable[[], Installation], user: User, most: int
) -> None:
    """The kinds that come later are seen to whatever becomes of the first."""
    fresh = new_installation()
    refuse = f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF (SELECT count(*) FROM gone WHERE kind = 'echo') > {most} THEN
                RAISE EXCEPTION 'too long' USING ERRCODE = '57014';
            END IF;
            RETURN NULL;
        END $$
    """  # noqa: S608 - a number of the test's own
    at_once = """
        CREATE TRIGGER refuse AFTER DELETE ON task REFERENCING OLD TABLE AS gone
        FOR EACH STATEMENT EXECUTE FUNCTION refuse()
    """
    async with fresh.api() as client, fresh.database() as database:
        tasks = Tasks(client, user)
        made = [await tasks.submit(kind) for kind in ("echo", "echo", "test.sleep")]
        for task in made:
            await tasks.cancel(task)
        await age(database, made, 5)
        async with database.transaction() as session:
            for statement in (refuse, at_once):
                await session.execute(text(statement))
        sweeper = retention(database)
        rounds = 1
        while await sweeper.sweep():
            rounds += 1

        assert await left(tasks, made) == [most == 0, most == 0, False]
        assert rounds < 12


async def test_what_has_much_to_delete_holds_nobody_up(
    new_installation: Callable[[], Installation], user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some rounds of one a look others have theirs."""
    for name, value in {"_LOOKED_AT": 1, "_BATCH": 1, "_ROUNDS": 2}.items():
        monkeypatch.setattr(sweeping, name, value)
    fresh = new_installation()
    async with fresh.api() as client, fresh.database() as database:
        tasks = Tasks(client, user)
        made = [await tasks.submit(kind) for kind in ("echo", "echo", "echo", "echo", "test.sleep")]
        for task in made:
            await tasks.cancel(task)
        await age(database, made, 5)
        sweeper = retention(database)
        for _ in range(3):
            await sweeper.sweep()

        assert sum(await left(tasks, made[:4])) == 2
        assert await left(tasks, made[4:]) == [False]
