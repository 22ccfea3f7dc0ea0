"""Tasks that wait for others: after them, or one at a time. The state of tasks decides, on whatever worker."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
from sqlalchemy import func, insert, select, text, true

from services.tasks.models import Task, TaskDependency
from services.tasks.worker.repository import WorkRepository
from shared.postgres import Database, opening
from tests.fixtures.identity import RegisterUser
from tests.services.tasks.kinds import RELEASED, TRACES
from tests.services.tasks.running import FINAL, Installation, Tasks

MISSING = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture
async def fresh(new_installation: Callable[[], Installation]) -> Installation:
    return new_installation()


@pytest.fixture
def long_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement has 30 s: one whose time grows with the square of its rows would take a minute on an idle machine."""
    monkeypatch.setattr(opening, "_STATEMENT_SECONDS", 30.0)


@pytest.fixture
async def flows(fresh: Installation, register_user: RegisterUser) -> AsyncIterator[Tasks]:
    async with fresh.api() as client:
        yield Tasks(client, await register_user())


@pytest.fixture
def name() -> str:
    return secrets.token_hex(4)


async def post(tasks: Tasks, **body: Any) -> httpx.Response:
    return await tasks.client.post("/api/v1/tasks/submit", json={"kind": "echo", **body}, headers=tasks.user.headers)


def later() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def alternates(trace: list[tuple[str, int]]) -> bool:
    """Whether each left before another entered."""
    return all(
        (enters, leaves) == (("entered", number), ("left", number))
        for enters, leaves, number in zip(trace[::2], trace[1::2], [one for _, one in trace[::2]], strict=True)
    )


@pytest.mark.timeout(400)
async def test_of_two_hundred_with_one_key_one_runs_at_a_time_in_order(
    fresh: Installation, flows: Tasks, name: str
) -> None:
    async with fresh.worker(), fresh.worker():
        made = [
            await flows.submit("test.trace", {"name": name, "number": number}, concurrency={"key": name})
            for number in range(200)
        ]
        await flows.wait(made[-1], seconds=300)
        ended = [(await flows.get(task))["status"] for task in made]

    assert ended == ["succeeded"] * 200
    assert alternates(TRACES[name])
    assert [number for what, number in TRACES[name] if what == "entered"] == list(range(200))


async def test_submitted_at_once_none_is_lost_and_none_runs_beside_another(
    fresh: Installation, flows: Tasks, name: str
) -> None:
    given = [{"name": name, "number": number, "fails": number % 3 == 0} for number in range(60)]
    async with fresh.worker(), fresh.worker():
        made = await asyncio.gather(*(flows.submit("test.trace", one, concurrency={"key": name}) for one in given))
        await asyncio.gather(*(flows.wait(task, seconds=60) for task in made[::7]))
        ended = [await flows.wait(task, seconds=60) for task in made]

    assert {task["status"] for task in ended} == {"succeeded", "failed"}
    assert alternates(TRACES[name])
    assert len(TRACES[name]) == 120


async def test_a_busy_key_refuses_who_wants_that(flows: Tasks, name: str) -> None:
    refusing = {"concurrency": {"key": name, "on_conflict": "refuse"}, "run_at": later()}

    answers = await asyncio.gather(*(post(flows, **refusing) for _ in range(5)))
    (first,) = [answer.json() for answer in answers if answer.status_code == 202]
    await flows.cancel(first)
    again = await post(flows, **refusing)

    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"tasks.key_busy"}
    assert again.status_code == 202


async def test_a_newer_one_has_the_older_cancelled(fresh: Installation, flows: Tasks, name: str) -> None:
    async with fresh.worker():
        running = await flows.submit("test.sleep", concurrency={"key": name})
        await flows.wait(running, lambda read: read["status"] == "running")
        waiting = await flows.submit("echo", concurrency={"key": name})
        newest = await flows.submit("echo", concurrency={"key": name, "on_conflict": "cancel_oldest"})
        ended = [await flows.wait(task) for task in (running, waiting, newest)]

    assert (waiting["waits_for_key"], newest["waits_for_key"]) == (True, True)
    assert [task["status"] for task in ended] == ["cancelled", "cancelled", "succeeded"]


async def test_a_newer_one_has_a_long_line_cancelled_whose_head_has_not_begun(
    long_statements: None, fresh: Installation, flows: Tasks, name: str
) -> None:
    head = await flows.submit("echo", concurrency={"key": name}, run_at=later())
    waiting = await flows.submit("echo", concurrency={"key": name})
    async with fresh.database() as database:
        await copy(database, waiting, 6000)
        answer = await post(flows, concurrency={"key": name, "on_conflict": "cancel_oldest"}, run_at=later())
        async with database.session() as session:
            line = select(Task.status, func.count()).where(Task.concurrency_key == name).group_by(Task.status)
            states = sorted(map(tuple, await session.execute(line)))

    assert answer.status_code == 202, answer.text
    assert not answer.json()["waits_for_key"]
    assert states == [("cancelled", 6002), ("queued", 1)]
    assert (await flows.get(head))["error"]["code"] == "tasks.cancelled"


async def test_a_line_has_an_end(
    long_statements: None, fresh: Installation, flows: Tasks, register_user: RegisterUser, name: str
) -> None:
    """One that grew without a bound could not be cancelled any more."""
    head = await flows.submit("echo", concurrency={"key": name}, run_at=later())
    waiting = await flows.submit("echo", concurrency={"key": name})
    neighbour = Tasks(flows.client, await register_user())
    async with fresh.database() as database:
        await copy(database, waiting, 9998)
        last, refused = [await post(flows, concurrency={"key": name}) for _ in range(2)]
        other = await post(flows, concurrency={"key": f"{name}-2"})
        await neighbour.submit("echo", concurrency={"key": name}, run_at=later())
        theirs = await post(neighbour, concurrency={"key": name})
    await flows.cancel(waiting)
    again = await post(flows, concurrency={"key": name})

    assert (refused.status_code, refused.json()["code"]) == (409, "tasks.line_full")
    assert "10,000 tasks" in refused.json()["detail"]
    assert [answer.status_code for answer in (last, other, theirs, again)] == [202] * 4
    assert (await flows.get(head))["status"] == "queued"


async def copy(database: Database, task: dict[str, Any], times: int) -> None:
    columns = [column for column in Task.__table__.columns if column.key != "id"]
    many = func.generate_series(1, times).table_valued("number")
    one = select(func.gen_random_uuid(), *columns).select_from(Task).join(many, true())
    copied = insert(Task).from_select(["id", *columns], one.where(Task.id == task["id"]))
    async with database.transaction() as session:
        await session.execute(copied)


async def test_two_that_cancel_what_the_other_waits_for_are_both_taken(flows: Tasks, name: str) -> None:
    async def cross(number: int) -> list[int]:
        keys = [f"{name}-{number}-{side}" for side in "ab"]
        old = [await flows.submit("echo", concurrency={"key": key}, run_at=later()) for key in keys]
        wanted = [{"key": key, "on_conflict": "cancel_oldest"} for key in keys]
        after = [{"ids": [one["id"]], "on": "end"} for one in reversed(old)]
        answers = [post(flows, concurrency=one, after=other) for one, other in zip(wanted, after, strict=True)]
        taken = await asyncio.gather(*answers)
        new = [await flows.get(answer.json()) for answer in taken if answer.status_code == 202]
        assert [(await flows.get(one))["status"] for one in old] == ["cancelled", "cancelled"]
        assert [(one["status"], one["waiting_for"], one["waits_for_key"]) for one in new] == [("queued", 0, False)] * 2
        return [answer.status_code for answer in taken]

    taken = [await cross(number) for number in range(6)]

    assert taken == [[202, 202]] * 6


async def test_a_neighbour_has_the_same_key_to_itself(flows: Tasks, register_user: RegisterUser, name: str) -> None:
    neighbour = Tasks(flows.client, await register_user())
    mine = await flows.submit("echo", concurrency={"key": name}, run_at=later())

    theirs = await post(neighbour, concurrency={"key": name, "on_conflict": "refuse"}, run_at=later())

    assert (theirs.status_code, (await flows.get(mine))["status"]) == (202, "queued")


@pytest.mark.timeout(1000)
async def test_a_thousand_are_joined_by_one(fresh: Installation, flows: Tasks) -> None:
    parent = await flows.submit("echo", run_at=later())
    made: list[dict[str, Any]] = []
    for _ in range(20):
        made += await asyncio.gather(*(flows.submit("echo", parent_id=parent["id"]) for _ in range(50)))
    join = await flows.submit("echo", {"done": True}, after={"ids": [task["id"] for task in made]})
    async with fresh.worker(), fresh.worker(), fresh.database() as database:
        done = await flows.wait(join, seconds=900)
        last = max([(await flows.get(task))["finished_at"] for task in made[-50:]])
        left = await dependencies(database)

    listed = await flows.client.get(
        "/api/v1/tasks/list", params={"parent_id": parent["id"], "limit": 100}, headers=flows.user.headers
    )
    assert (join["waiting_for"], done["waiting_for"], done["status"]) == (1000, 0, "succeeded")
    assert (done["started_at"] >= last, left) == (True, 0)
    assert {task["parent_id"] for task in listed.json()["items"]} == {parent["id"]}


async def test_one_that_was_sent_while_it_waits_is_not_begun_and_sent_again(fresh: Installation, flows: Tasks) -> None:
    first = await flows.submit("echo", run_at=later())
    second = await flows.submit("echo", after={"ids": [first["id"]], "on": "end"})
    async with fresh.database() as database:
        async with database.transaction() as session:
            await session.execute(text("UPDATE task SET enqueued_at = now() WHERE id = :id"), {"id": second["id"]})
            claim = await WorkRepository(session).claim(second["id"], "early", lease_seconds=60)
        await flows.cancel(first)
        async with fresh.worker():
            done = await flows.wait(second)

    assert claim is None
    assert (done["status"], done["attempt"]) == ("succeeded", 1)


async def dependencies(database: Database) -> int:
    async with database.session() as session:
        return (await session.scalar(select(func.count()).select_from(TaskDependency))) or 0


async def test_one_released_after_another_begins_at_once(fresh: Installation, flows: Tasks, name: str) -> None:
    """Not when the reconciler looks, which does so once a minute here: five looks are longer than a test may take."""
    async with fresh.worker(reconcile_seconds=60):
        first = await flows.submit("test.hold", {"name": name, "waits": True})
        chain = [first]
        for _ in range(5):
            chain.append(await flows.submit("echo", after={"ids": [chain[-1]["id"]]}))
        RELEASED[name].set()
        ended = [await flows.wait(task) for task in chain]

    assert [task["status"] for task in ended] == ["succeeded"] * 6
    assert all(a["finished_at"] <= b["started_at"] for a, b in pairwise(ended))


async def test_where_one_fails_what_waits_for_success_falls_link_by_link(fresh: Installation, flows: Tasks) -> None:
    failing = await flows.submit("test.fail", {"how": "never"}, run_at=later())
    chain = [failing]
    for _ in range(30):
        chain.append(await flows.submit("echo", after={"ids": [chain[-1]["id"]]}))
    anyway = await flows.submit("echo", after={"ids": [failing["id"], chain[-1]["id"]], "on": "end"})
    async with fresh.database() as database, database.transaction() as session:
        await session.execute(text("UPDATE task SET run_at = now() WHERE id = :id"), {"id": failing["id"]})
    async with fresh.worker():
        ended = [await flows.wait(task) for task in [*chain, anyway]]

    assert [task["status"] for task in ended] == ["failed", *["cancelled"] * 30, "succeeded"]
    assert {task["error"]["code"] for task in ended[1:-1]} == {"tasks.dependency_failed"}


async def test_what_has_ended_counts_at_once(fresh: Installation, flows: Tasks) -> None:
    async with fresh.worker():
        good, bad = await flows.run("echo"), await flows.run("test.fail", {"how": "never"})
        after_good = await flows.submit("echo", after={"ids": [good["id"], good["id"]]})
        after_bad = await flows.submit("echo", after={"ids": [good["id"], bad["id"]]})
        whatever = await flows.submit("echo", after={"ids": [bad["id"]], "on": "end"})
        ended = [(await flows.wait(task))["status"] for task in (after_good, after_bad, whatever)]

    assert (after_good["waiting_for"], whatever["waiting_for"]) == (0, 0)
    assert ended == ["succeeded", "cancelled", "succeeded"]


async def test_submitted_while_what_it_waits_for_ends_none_is_forgotten(fresh: Installation, flows: Tasks) -> None:
    async with fresh.worker(), fresh.worker():

        async def pair() -> list[dict[str, Any]]:
            first = await flows.submit("echo")
            return [first, await flows.submit("echo", after={"ids": [first["id"]]})]

        made = [task for two in await asyncio.gather(*(pair() for _ in range(50))) for task in two]
        ended = [await flows.wait(task) for task in made]

    assert {task["status"] for task in ended} == {"succeeded"}


@pytest.mark.parametrize("place", ["after", "parent_id", "both"])
async def test_anothers_task_is_not_there(flows: Tasks, register_user: RegisterUser, place: str) -> None:
    theirs = await Tasks(flows.client, await register_user()).submit("echo", run_at=later())
    mine = await flows.submit("echo", run_at=later())

    def naming(id: str) -> dict[str, Any]:
        after: dict[str, Any] = {"after": {"ids": [mine["id"], id]}}
        found: dict[str, dict[str, Any]] = {
            "after": after,
            "parent_id": {"parent_id": id},
            "both": after | {"parent_id": mine["id"]},
        }
        return found[place]

    answers = [await post(flows, **naming(id)) for id in (theirs["id"], MISSING)]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "tasks.not_found")] * 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"after": {"ids": []}}, "/after/ids"),
        ({"after": {"ids": [MISSING] * 1001}}, "/after/ids"),
        ({"after": {"ids": ["x"]}}, "/after/ids/0"),
        ({"after": {"ids": [MISSING], "on": "failure"}}, "/after/on"),
        ({"concurrency": {"key": ""}}, "/concurrency/key"),
        ({"concurrency": {"key": "k" * 201}}, "/concurrency/key"),
        ({"concurrency": {"key": "k", "on_conflict": "drop"}}, "/concurrency/on_conflict"),
        ({"parent_id": 5}, "/parent_id"),
    ],
)
async def test_bad_input_is_refused_where_it_is(flows: Tasks, body: dict[str, Any], pointer: str) -> None:
    answer = await post(flows, **body)

    assert answer.status_code == 422
    assert pointer in [problem["pointer"] for problem in answer.json()["errors"]]


async def test_a_repeated_submit_makes_one_that_waits(flows: Tasks, name: str) -> None:
    headers = flows.user.headers | {"Idempotency-Key": name}
    body = {"kind": "echo", "concurrency": {"key": name, "on_conflict": "refuse"}, "run_at": later()}

    first, second = [await flows.client.post("/api/v1/tasks/submit", json=body, headers=headers) for _ in range(2)]

    assert (first.status_code, second.status_code, second.json()["id"]) == (202, 202, first.json()["id"])


async def test_one_that_waits_can_be_cancelled_and_lets_the_next_begin(
    fresh: Installation, flows: Tasks, name: str
) -> None:
    held = await flows.submit("echo", concurrency={"key": name}, run_at=later())
    second, third = [await flows.submit("echo", concurrency={"key": name}) for _ in range(2)]
    for task in (second, held):
        assert (await flows.cancel(task)).status_code == 200
    async with fresh.worker():
        done = await flows.wait(third)

    assert done["status"] == "succeeded"
    assert (await flows.get(second))["status"] in FINAL


async def test_a_task_is_waited_for_by_a_bounded_number(
    flows: Tasks, fresh: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.tasks.flows._MOST_AFTER_ONE", 2)
    popular, other = [await flows.submit("echo", run_at=later()) for _ in range(2)]
    for _ in range(2):
        await flows.submit("echo", after={"ids": [popular["id"], other["id"]]})

    refused = await post(flows, after={"ids": [popular["id"]]})
    await flows.cancel(popular)
    ended = await post(flows, after={"ids": [popular["id"]], "on": "end"})

    assert (refused.status_code, refused.json()["code"]) == (409, "tasks.too_many_followers")
    assert ended.status_code == 202
