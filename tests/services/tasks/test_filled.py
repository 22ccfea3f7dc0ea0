"""Among many tasks that ended, a list looks at those that it shows; no statement at all of them."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from bench.finished import PARENT, RARE_ERROR, Owner, fill
from services.tasks.domain import Priority, TaskStatus
from services.tasks.filters import TaskFilter
from services.tasks.keeping import Keeping
from services.tasks.kinds.echo import ECHO
from services.tasks.kinds.registry import BUILT_IN
from services.tasks.models import Task
from services.tasks.repository import TaskRepository
from services.tasks.rows import new_row
from services.tasks.schedules.repository import ScheduleRepository
from services.tasks.turns import next_of, next_of_each, unserved_since
from services.tasks.worker.instruments import Instruments
from services.tasks.worker.kind_places import next_of_kind
from services.tasks.worker.retention import Retention
from shared.postgres import Database
from shared.schemas import new_id
from tests.services.tasks.plans import Watch, read
from tests.services.tasks.running import Installation

OWNER = Owner("tenant-of-many", "user-of-many")
COUNT = 20_000
_LONG_AGO = datetime.now(UTC) - timedelta(days=75)
_LATELY = datetime.now(UTC) - timedelta(days=3)
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    **{f"status-{status}": {"status": status} for status in TaskStatus},
    **{f"priority-{priority}": {"priority": priority} for priority in Priority},
    **{f"kind-{kind}": {"kind": kind} for kind in ("echo", "agent.run", "nobodys")},
    **{f"error-{code}": {"error_code": code} for code in (RARE_ERROR, "common.unavailable", "nobodys")},
    "parent": {"parent_id": PARENT},
    "dead": {"dead_letter": True},
    "not-dead": {"dead_letter": False},
    "unsettled": {"unsettled": True},
    "settled": {"unsettled": False},
    "ended-after": {"finished_after": _LATELY},
    "ended-before": {"finished_before": _LONG_AGO},
    "status-and-kind": {"status": TaskStatus.FAILED, "kind": "agent.run"},
    "unsettled-of-an-error": {"unsettled": True, "error_code": RARE_ERROR},
}


@pytest.fixture(scope="module")
async def filled(new_installation: Callable[[], Installation]) -> AsyncIterator[Database]:
    fresh = new_installation()
    async with fresh.database() as database:
        url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = await asyncpg.connect(url)
        await fill(connection, COUNT, OWNER)
        await connection.close()
        yield database


def scans(plan: list[dict[str, Any]]) -> set[str]:
    """By which indexes a plan goes, or through which tables."""
    return {
        node.get("Index Name") or node["Node Type"]
        for node in plan
        if "Scan" in node["Node Type"] and "Plans" not in node
    }


@pytest.mark.parametrize("user_id", [None, OWNER.user_id], ids=["tenant", "user"])
@pytest.mark.parametrize("wanted", [pytest.param(TaskFilter(**one), id=name) for name, one in FILTERS.items()])
async def test_a_list_goes_by_an_index_of_the_tenants(
    filled: Database, wanted: TaskFilter, user_id: str | None
) -> None:
    """Not by the primary key, which is everybody's."""
    async with filled.session() as session:
        with Watch(filled) as watch:
            await TaskRepository(session, OWNER.tenant_id, user_id).list_newest(wanted, after=None, limit=51)
        found = scans(await watch.plan(await session.connection()))

    assert not {name for name in found if not name.startswith("ix_task_")}


async def test_a_list_of_what_is_unsettled_goes_by_what_is(filled: Database) -> None:
    """Of failed tasks most are settled, which the planner does not know of a state and two columns."""
    async with filled.session() as session:
        with Watch(filled) as watch:
            tasks = TaskRepository(session, OWNER.tenant_id, None)
            await tasks.list_newest(TaskFilter(unsettled=True), after=None, limit=51)
            listed = scans(await watch.plan(await session.connection()))
            await tasks.list_ids(TaskFilter(unsettled=True), after=None, before=new_id(), limit=51)
            walked = scans(await watch.plan(await session.connection()))
            await tasks.count_unsettled()
            counted = scans(await watch.plan(await session.connection()))

    assert listed == walked == counted == {"ix_task_unsettled"}


async def test_what_a_schedule_made_is_found_by_it(filled: Database) -> None:
    async with filled.session() as session:
        with Watch(filled) as watch:
            await ScheduleRepository(session, OWNER.tenant_id, OWNER.user_id).list_runs(PARENT, None, 51)
        found = scans(await watch.plan(await session.connection()))

    assert found == {"ix_task_schedule"}


async def test_retention_looks_at_what_is_old_only(filled: Database) -> None:
    """Of nothing that is to stay."""
    retention = Retention(filled, BUILT_IN, Keeping(79), Instruments(CollectorRegistry()).deleted, every_seconds=60)
    with Watch(filled) as watch:
        await retention.sweep()
    found = set()
    for seen in [one for one in watch.seen if " task" in one[0]]:
        watch.seen.append(seen)
        async with filled.session() as session:
            found |= scans(await watch.plan(await session.connection()))

    assert "Seq Scan" not in found
    assert "ix_task_ended" in found


async def test_each_list_is_planned_for_what_it_asks(filled: Database) -> None:
    """A plan for all values, which PostgreSQL makes after five, would look for the rare as for the frequent."""
    async with filled.session() as session:
        tasks = TaskRepository(session, OWNER.tenant_id, OWNER.user_id)
        for status in [TaskStatus.SUCCEEDED] * 8:
            await tasks.list_newest(TaskFilter(status=status), after=None, limit=51)
        made = await plans(session)

    assert made[0] >= 8
    assert made[1] == 0


async def plans(session: AsyncSession) -> tuple[int, int]:
    """Of the lists of tasks on this connection: how many were made for their values, and for all."""
    counted = text(
        "SELECT sum(custom_plans)::int, sum(generic_plans)::int FROM pg_prepared_statements"
        " WHERE statement LIKE 'SELECT%FROM task %ORDER BY task.tenant_id%' AND statement NOT LIKE '%pg_prepared%'"
    )
    custom, generic = (await session.execute(counted)).one()
    return custom or 0, generic or 0


@pytest.mark.parametrize("table", ["task", "task_attempt", "task_event", "webhook_delivery", "webhook_attempt"])
async def test_what_is_dead_is_cleared_away_before_it_is_much(filled: Database, table: str) -> None:
    options = text("SELECT reloptions FROM pg_class WHERE oid = to_regclass(:name)")
    async with filled.session() as session:
        found = await session.scalar(options, {"name": table})

    assert "autovacuum_vacuum_scale_factor=0.05" in found


@dataclass(frozen=True)
class Waits:
    """Whose tasks these are, as a claim says it."""

    priority: str = Priority.NORMAL.value
    tenant_id: str = OWNER.tenant_id
    user_id: str = OWNER.user_id


LIMITED = replace(ECHO, name="test.limited", at_once=1)


@pytest.fixture(scope="module")
async def limited(new_installation: Callable[[], Installation]) -> AsyncIterator[Database]:
    """Five thousand that wait for a place of their kind, then three of another kind, and a thousand of that put off."""
    now = datetime.now(UTC)
    values = {**vars(Waits()), "scopes": [], "input": "{}"}
    unsent = replace(ECHO, at_once=1)  # as one that was put off
    many = [new_row(LIMITED, now - timedelta(hours=1), None, **values) for _ in range(5000)]
    few = [new_row(unsent, now - timedelta(minutes=5), None, **values) for _ in range(3)]
    later = [new_row(unsent, now, now + timedelta(days=1), **values) for _ in range(1000)]
    fresh = new_installation()
    async with fresh.database() as database:
        async with database.transaction() as session:
            await session.execute(insert(Task), [*many, *few, *later])
        async with database.statements() as session:
            await session.execute(text("ANALYZE task"))
        yield database


@pytest.mark.parametrize(
    ("asks", "count"),
    [
        pytest.param(next_of(Waits(), 2, but=[LIMITED.name]), 2, id="next-of-an-owner"),
        pytest.param(next_of_each(2, at_once=100, sent=200, but=[LIMITED.name]), 2, id="next-of-each"),
        pytest.param(unserved_since([LIMITED.name]), 1, id="unserved"),
    ],
)
async def test_what_waits_for_its_kind_is_not_read_for_the_rest(limited: Database, asks: Any, count: int) -> None:
    """Nor what is due later for the kind's."""
    async with limited.session() as session:
        with Watch(limited) as watch:
            found = (await session.execute(asks)).all()
        rows = await read(watch, await session.connection())

    assert len(found) == count
    assert rows < 30


async def test_what_a_kind_runs_next_is_found_by_it(limited: Database) -> None:
    async with limited.session() as session:
        with Watch(limited) as watch:
            one = await next_of_kind(session, LIMITED.name, 1, waits=False)
            other = await next_of_kind(session, "echo", 1, waits=False)
        rows = await read(watch, await session.connection())

    assert [len(one), len(other)] == [1, 1]
    assert rows < 30


async def test_those_of_a_kind_that_are_on_their_way_keep_its_places_behind_many_others(limited: Database) -> None:
    async with limited.session() as session:  # which is not committed
        [task_id] = await next_of_kind(session, LIMITED.name, 1, waits=False)
        sent = text("UPDATE task SET enqueued_at = now() - interval '12 seconds' WHERE id = :id")
        others = text(
            "UPDATE task SET enqueued_at = now(), kind = 'echo'"
            " WHERE id IN (SELECT id FROM task WHERE kind = :kind AND id <> :id LIMIT 1500)"
        )
        await session.execute(sent, {"id": task_id})
        await session.execute(others, {"id": task_id, "kind": LIMITED.name})
        found = await next_of_kind(session, LIMITED.name, 1, waits=False)

    assert found == []
