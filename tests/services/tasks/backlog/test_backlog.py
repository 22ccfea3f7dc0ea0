"""Of what an owner submits only so much is in the queue at once: nobody else's stands behind the rest."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from services.tasks.backlog import MOST_SENT
from services.tasks.models import OutboxRow
from services.tasks.queues import Queues
from services.tasks.worker.recovery import RecoveryRepository
from services.tasks.worker.scheduler import Scheduler
from shared.postgres import Database, Outbox
from tests.fixtures.identity import RegisterUser, User
from tests.services.auth.tenancy import Join
from tests.services.tasks.kinds import TEST_KINDS, TRACES
from tests.services.tasks.running import Installation, Tasks, eventually

BATCH, BACKLOG = 500, 1000
LONG = {"seconds": 600}
SENT = "status = 'queued' AND enqueued_at IS NOT NULL"
UNSENT = "status = 'queued' AND enqueued_at IS NULL"


@pytest.fixture
async def owner(register_user: RegisterUser) -> User:
    return await register_user()


@pytest.fixture
async def member(owner: User, join: Join) -> User:
    """Of a tenant that has others."""
    return await join(owner, "member")


@pytest.fixture
async def newcomer(who: str, greedy: Tasks, modest: Tasks, owner: User, join: Join) -> Tasks:
    """Beside `member`: of another tenant, or of the same."""
    return modest if who == "a neighbour" else Tasks(greedy.client, await join(owner, "member"))


async def count(database: Database, which: str) -> int:
    async with database.session() as session:
        return await session.scalar(text(f"SELECT count(*) FROM task WHERE {which}")) or 0  # noqa: S608 - ours


async def change(database: Database, how: str) -> None:
    async with database.transaction() as session:
        await session.execute(text(how))


async def flood(tasks: Tasks, number: int, kind: str = "test.sleep", **fields: Any) -> list[dict[str, Any]]:
    """So many long ones, or of `kind` with these `fields`, in batches."""
    one = {"kind": kind, "input": LONG, **fields}
    return await submit_all(tasks, [one] * number)


async def submit_all(tasks: Tasks, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for first in range(0, len(bodies), BATCH):
        body = {"tasks": bodies[first : first + BATCH]}
        answer = await tasks.client.post("/api/v1/tasks/submit/batch", json=body, headers=tasks.user.headers)
        assert answer.status_code == 200, answer.text
        made += [each["task"] for each in answer.json()["results"]]
    return made


async def test_no_owner_has_more_than_so_many_in_the_queue(greedy: Tasks, modest: Tasks, database: Database) -> None:
    await flood(greedy, BATCH)
    await flood(greedy, MOST_SENT + 1, priority="high")
    alone = await count(database, SENT)
    await flood(modest, MOST_SENT + 1)

    assert alone == 2 * MOST_SENT
    assert await count(database, SENT) == 3 * MOST_SENT
    assert await count(database, "TRUE") == BATCH + 2 * (MOST_SENT + 1)


async def test_those_that_came_first_are_sent_first(greedy: Tasks, database: Database) -> None:
    made = [task["id"] for task in await flood(greedy, MOST_SENT + 20)]
    async with database.session() as session:
        sent = set((await session.scalars(text(f"SELECT id::text FROM task WHERE {SENT}"))).all())  # noqa: S608 - ours

    assert sent == set(made[:MOST_SENT])


async def test_what_comes_later_does_not_pass_what_waits(greedy: Tasks, database: Database) -> None:
    await flood(greedy, MOST_SENT + 20)
    await change(database, f"UPDATE task SET status = 'running' WHERE {SENT}")  # noqa: S608 - ours
    late = await greedy.submit("echo")
    high = await greedy.submit("echo", priority="high")
    async with database.transaction() as session:
        taken = await RecoveryRepository(session).take_due(most=BATCH)

    assert await count(database, f"id = '{high['id']}' AND enqueued_at IS NOT NULL") == 1
    assert len(taken) == 21
    assert taken[-1].id == late["id"]


@pytest.mark.parametrize("how", ["with a parent", "replayed", "by a schedule"])
async def test_it_is_the_same_whoever_makes_the_task(
    installation: Installation, greedy: Tasks, database: Database, how: str
) -> None:
    first = await greedy.submit("echo")
    await change(database, "UPDATE task SET status = 'failed', finished_at = now()")
    await flood(greedy, MOST_SENT)
    if how == "with a parent":
        await greedy.submit("echo", parent_id=first["id"])
    elif how == "replayed":
        path = f"/api/v1/tasks/{first['id']}/replay"
        (await greedy.client.post(path, headers=greedy.user.headers)).raise_for_status()
    else:
        await fire_schedule(installation, greedy, database)

    assert await count(database, SENT) == MOST_SENT
    assert await count(database, f"{UNSENT} AND kind = 'echo'") == 1


async def fire_schedule(installation: Installation, tasks: Tasks, database: Database) -> None:
    """Once, as a worker does."""
    body = {"name": "seldom", "kind": "echo", "cron": "0 0 1 1 *"}  # no other moment comes while it is looked at
    made = await tasks.client.post("/api/v1/tasks/schedules", json=body, headers=tasks.user.headers)
    assert made.status_code == 201, made.text
    await change(database, "UPDATE schedule SET next_at = now() - interval '1 second'")
    queues = Queues(installation.names["queue_prefix"])
    scheduler = Scheduler(database, Outbox(OutboxRow), queues, TEST_KINDS, every_seconds=1)
    await scheduler.look()


async def test_what_was_cancelled_leaves_room(greedy: Tasks, database: Database) -> None:
    made = await flood(greedy, MOST_SENT)
    full = await greedy.submit("echo")
    await greedy.cancel(full)
    for task in made[:3]:
        await greedy.cancel(task)
    await flood(greedy, 5)

    assert await count(database, SENT) == MOST_SENT
    assert await count(database, UNSENT) == 2


async def test_what_waits_for_a_place_of_its_kind_holds_back_no_other(
    new_installation: Callable[[], Installation], user: User
) -> None:
    installation = new_installation().limited({"test.sleep": 1})
    async with installation.api() as client, installation.database() as database:
        tasks = Tasks(client, user)
        await flood(tasks, 20)
        await tasks.submit("echo")

        assert await count(database, f"{SENT} AND kind = 'echo'") == 1


@pytest.mark.timeout(300)
async def test_a_backlog_of_quick_ones_is_sent_on_by_those_that_end(
    installation: Installation, greedy: Tasks, database: Database
) -> None:
    name, number = "in turn", 3 * MOST_SENT
    traces = [{"kind": "test.trace", "input": {"name": name, "number": n}} for n in range(number)]
    made = await submit_all(greedy, traces)
    async with installation.worker(reconcile_seconds=60, normal_slots=1):  # nothing else would send them
        await eventually(lambda: is_none(database, "status <> 'succeeded'"), seconds=120)

    entered = [n for event, n in TRACES.pop(name) if event == "entered"]
    assert sorted(entered) == list(range(number))
    assert all(abs(place - n) <= MOST_SENT for place, n in enumerate(entered)), "one is on its way beside others"
    assert len(made) == number


async def is_none(database: Database, which: str) -> bool:
    return await count(database, which) == 0


async def test_the_reconciler_sends_what_nobody_ends_for(
    installation: Installation, greedy: Tasks, database: Database
) -> None:
    """As after the death of whoever would have."""
    await flood(greedy, MOST_SENT + 20, "echo", input={})
    await change(database, f"UPDATE task SET status = 'cancelled', finished_at = now() WHERE {SENT}")  # noqa: S608 - ours
    async with installation.worker():
        await eventually(lambda: is_none(database, "status NOT IN ('cancelled', 'succeeded')"))

    assert await count(database, "status = 'succeeded'") == 20


@pytest.mark.timeout(300)
async def test_a_killed_worker_and_a_lost_queue_leave_none_behind(
    installation: Installation, greedy: Tasks, database: Database
) -> None:
    await flood(greedy, 3 * MOST_SENT, input={"seconds": 0.01})
    async with installation.worker_process() as worker:
        await eventually(lambda: count(database, "status = 'succeeded'"))
        worker.kill()
        await worker.ended()
    async with installation.worker(republish_seconds=1):
        await eventually(lambda: is_none(database, "status <> 'succeeded'"), seconds=120)


@pytest.mark.parametrize("who", ["a neighbour", "a colleague"])
async def test_a_thousand_of_one_owner_keep_nobody_waiting(
    installation: Installation, member: User, newcomer: Tasks, database: Database
) -> None:
    """However long the backlog is, a newcomer's task stands behind as much of it as the queue takes."""
    await flood(Tasks(newcomer.client, member), BACKLOG)
    other = await newcomer.submit("echo")
    before = await count(database, f"enqueued_at IS NOT NULL AND id <> '{other['id']}'")
    async with installation.worker():
        done = await newcomer.wait(other)

    assert done["status"] == "succeeded"
    assert before == MOST_SENT
