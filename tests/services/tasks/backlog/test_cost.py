"""However long an owner's backlog is, whose turn it is is found in a few rows, and the queue stays short."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Select, exists, select, text

from services.tasks.backlog import MOST_SENT
from services.tasks.models import Task
from services.tasks.repository import TaskRepository, is_key_taken
from services.tasks.turns import IS_DUE, next_of, next_of_each, number_sent, of_kind, unserved_since, waits_of
from services.tasks.worker.recovery import RecoveryRepository
from shared.postgres import Database
from tests.services.tasks.plans import Watch, read
from tests.services.tasks.running import Installation

BACKLOG, NEIGHBOURS = 10_000, 20
_PART = 2500  # of what is filled in by one statement
MOST_ROWS = 30
"""Of a statement about one owner; the round has as many for each."""
_FILL = text(
    """
    INSERT INTO task (id, tenant_id, user_id, scopes, kind, priority, input, status, dead_letter, progress_done,
        attempt, interruptions, max_attempts, timeout_seconds, run_at, version, created_at)
    SELECT gen_random_uuid(),
        CASE WHEN n > CAST(:neighbours AS int) THEN 'greedy' ELSE 'neighbour ' || n END, 'user', '{}',
        CASE WHEN n % 2 = 0 THEN 'limited' ELSE 'free' END, 'normal', '{}', 'queued', false, 0,
        0, 0, 1, 1, now() - interval '1 s' * n, 1, now()
    FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n
    """
)


@dataclass(frozen=True)
class Owner:
    """Whose tasks these are, as a claim says it."""

    priority: str = "normal"
    tenant_id: str = "greedy"
    user_id: str = "user"


@pytest.fixture(scope="module", params=["planned anew", "as it was"])
async def backlog(
    new_installation: Callable[[], Installation], request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    """Ten thousand of one owner and one each of some others: with what the planner knows of them, and without."""
    async with new_installation().database() as database:
        for first in range(1, NEIGHBOURS + BACKLOG, _PART):
            last = min(first + _PART - 1, NEIGHBOURS + BACKLOG)
            async with database.transaction() as session:
                await session.execute(_FILL, {"neighbours": NEIGHBOURS, "first": first, "last": last})
        async with database.transaction() as session:
            if request.param == "planned anew":
                await session.execute(text("ANALYZE task"))
        yield database


@pytest.mark.parametrize(
    ("asks", "most"),
    [
        pytest.param(select(exists().where(IS_DUE)), MOST_ROWS, id="anything-due"),
        pytest.param(select(exists().where(waits_of(Owner()))), MOST_ROWS, id="anything-of-an-owner"),
        pytest.param(select(number_sent(Owner(), MOST_SENT)), MOST_ROWS, id="number-sent"),
        pytest.param(next_of(Owner(), 8), MOST_ROWS, id="next-of-an-owner"),
        pytest.param(next_of(Owner(), 8, but=["limited"]), MOST_ROWS, id="next-of-an-owner-but"),
        pytest.param(
            next_of_each(8, at_once=2000, sent=200, but=["limited"]), MOST_ROWS * (NEIGHBOURS + 1), id="next-of-each"
        ),
        pytest.param(select(of_kind("limited", [Task.id], 8)), MOST_ROWS * (NEIGHBOURS + 1), id="of-a-kind"),
        pytest.param(unserved_since(["limited"]), MOST_ROWS * (NEIGHBOURS + 1), id="unserved"),
    ],
)
async def test_a_turn_is_found_in_a_few_rows(backlog: Database, asks: Select[Any], most: int) -> None:
    async with backlog.session() as session:
        with Watch(backlog) as watch:
            await session.execute(asks)
        rows = await read(watch, await session.connection())

    assert rows <= most


async def test_a_queue_that_nobody_takes_from_is_not_filled_each_second(backlog: Database) -> None:
    """All slots may be taken for hours: a newcomer would stand behind what was added meanwhile."""
    async with backlog.session() as session:  # which is not committed
        rounds = [await RecoveryRepository(session).take_due(most=8) for _ in range(40)]
        sent = await session.scalar(
            text("SELECT count(*) FROM task WHERE tenant_id = 'greedy' AND enqueued_at > '-infinity'")
        )

    assert len(rounds[0]) == 8 + NEIGHBOURS
    assert 2 * MOST_SENT <= sent < 2 * MOST_SENT + 8
    assert rounds[-1] == []


async def test_a_round_of_very_many_owners_begins_with_the_oldest_of_each(
    backlog: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.tasks.worker.recovery._MOST_DUE", NEIGHBOURS + 1)
    async with backlog.session() as session:  # which is not committed
        sent = await RecoveryRepository(session).take_due(most=8)

    assert len({task.tenant_id for task in sent}) == len(sent) == NEIGHBOURS + 1


async def test_who_is_of_a_concurrency_key_is_found_beside_all_that_are_of_none(backlog: Database) -> None:
    """Or each submit with a key would read whatever its tenant has queued."""
    rows: list[float] = []
    async with backlog.transaction() as session:
        connection, tasks = await session.connection(), TaskRepository(session, Owner.tenant_id, Owner.user_id)
        for ask in (
            lambda: is_key_taken(session, Owner.tenant_id, "key"),
            lambda: tasks.is_line_full("key", 10_000),
            lambda: tasks.cancel_key("key"),
        ):
            with Watch(backlog) as watch:
                await ask()
            watch.seen = watch.seen[:1]  # what follows is of those that were found
            rows.append(await read(watch, connection))

    assert max(rows) <= 1
