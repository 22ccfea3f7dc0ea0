"""A schedule makes one task for each of its moments, whoever looks, until what it acts with ends."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from services.tasks.worker import scheduler
from shared.postgres import Database
from tests.fixtures.identity import RegisterUser, User
from tests.services.tasks.running import Installation, Tasks, eventually
from tests.services.tasks.test_authority import make_key, with_key

PATH = "/api/v1/tasks/schedules"
BODY: dict[str, Any] = {"name": "every minute", "kind": "echo", "input": {"n": 1}, "cron": "* * * * *"}
YEARLY = {"cron": "0 0 1 1 *"}
MISSING = "01890a5d-ac96-774b-bcce-b302099a8057"


class Schedules:
    """The API as one user sees it, and the clock in the database."""

    def __init__(self, client: httpx.AsyncClient, user: User, database: Database) -> None:
        self.client, self.user, self._database = client, user, database

    async def ask(self, method: str, path: str = "", **request: Any) -> httpx.Response:
        headers = self.user.headers | request.pop("headers", {})
        return await self.client.request(method, PATH + path, headers=headers, **request)

    async def make(self, **changes: Any) -> dict[str, Any]:
        answer = await self.ask("POST", json=BODY | changes)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def get(self, schedule: dict[str, Any]) -> dict[str, Any]:
        return dict((await self.ask("GET", f"/{schedule['id']}")).raise_for_status().json())

    async def runs(self, schedule: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await self.ask("GET", f"/{schedule['id']}/runs", params={"limit": 100})
        return list(answer.raise_for_status().json()["items"])

    async def set_back(self, schedule: dict[str, Any], minutes: int = 0) -> None:
        """Have it be due since the minute that began so many minutes before this one."""
        since = text(
            "UPDATE schedule SET next_at = date_trunc('minute', now()) - make_interval(mins => :minutes) WHERE id = :id"
        )
        async with self._database.transaction() as session:
            await session.execute(since, {"id": schedule["id"], "minutes": minutes})

    async def ran(self, schedule: dict[str, Any], count: int) -> list[dict[str, Any]]:
        """Its tasks, when there are so many."""

        async def enough() -> list[dict[str, Any]]:
            found = await self.runs(schedule)
            return found if len(found) >= count else []

        return list(await eventually(enough))


@pytest.fixture
async def fresh(new_installation: Callable[[], Installation]) -> Installation:
    return new_installation()


@pytest.fixture
async def schedules(fresh: Installation, register_user: RegisterUser) -> AsyncIterator[Schedules]:
    async with fresh.api() as client, fresh.database() as database:
        yield Schedules(client, await register_user(), database)


async def test_a_schedule_is_kept_read_and_changed(schedules: Schedules) -> None:
    made = await schedules.ask("POST", json=BODY | YEARLY | {"time_zone": "Europe/Berlin"})
    path = made.headers["Location"].removeprefix(PATH)

    changed = await schedules.ask("PATCH", path, json={"name": "new", "cron": "0 0 1 6 *"}, headers={"If-Match": '"1"'})
    late = await schedules.ask("PATCH", path, json={"name": "late"}, headers={"If-Match": '"1"'})
    listed = (await schedules.ask("GET")).json()["items"]

    assert (made.status_code, made.json()["next_at"][5:]) == (201, "12-31T23:00:00.000Z")
    assert (changed.json()["name"], changed.json()["next_at"][5:]) == ("new", "05-31T22:00:00.000Z")
    assert (late.status_code, late.json()["code"]) == (412, "common.precondition_failed")
    assert [one["id"] for one in listed] == [made.json()["id"]]
    assert (await schedules.ask("GET", path)).json() == changed.json()


async def test_what_is_deleted_is_gone(schedules: Schedules) -> None:
    made = await schedules.make()

    answers = [(await schedules.ask(method, f"/{made['id']}")).status_code for method in ("DELETE", "GET", "DELETE")]

    assert answers == [204, 404, 404]


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"cron": "0 0 30 2 *"}, "tasks.cron_never", "/cron"),
        ({"cron": "* * * * * *"}, "tasks.cron_invalid", "/cron"),
        ({"cron": "often"}, "tasks.cron_invalid", "/cron"),
        ({"cron": "0," * 200}, "common.invalid", "/cron"),
        ({"time_zone": "Mars/Olympus"}, "tasks.time_zone_unknown", "/time_zone"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "tasks.ends_too_soon", "/ends_at"),
        ({"kind": "nope"}, "tasks.kind_unknown", "/kind"),
        ({"kind": "agent.run", "input": {"agent_id": "x", "content": "hi"}}, "tasks.input_invalid", "/input/agent_id"),
        ({"input": {"text": "x" * 2**20}}, "tasks.input_too_large", "/input"),
        ({"catch_up": "some"}, "common.invalid", "/catch_up"),
        ({"jitter_seconds": 3601}, "common.invalid", "/jitter_seconds"),
        ({"every": 5}, "common.invalid", "/every"),
    ],
)
async def test_bad_input_is_refused_where_it_is(
    schedules: Schedules, changes: dict[str, Any], code: str, pointer: str
) -> None:
    answer = await schedules.ask("POST", json=BODY | changes)

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert pointer in [problem["pointer"] for problem in answer.json()["errors"]]
    assert (await schedules.ask("GET")).json()["items"] == []


async def test_a_kind_asks_for_its_scopes(schedules: Schedules, register_user: RegisterUser) -> None:
    schedules.user = await register_user(scope="tasks:write tasks:read")

    answer = await schedules.ask("POST", json=BODY | {"kind": "agent.run"})

    assert (answer.status_code, answer.json()["code"]) == (403, "common.missing_scope")


def minute() -> int:
    """Which one it is: each that begins while a worker is there has a moment."""
    return int(time.time() // 60)


async def test_of_many_workers_one_makes_each_task(fresh: Installation, schedules: Schedules) -> None:
    began = minute()
    made = [await schedules.make(name=f"number {number}") for number in range(10)]
    await asyncio.gather(*(schedules.set_back(one, 1) for one in made))
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(fresh.worker(reconcile_seconds=0.05))
        ran = [await schedules.ran(one, 1) for one in made]
        await eventually(lambda: are_over(schedules, made))
        ran = [await schedules.runs(one) for one in made]
        most = 1 + minute() - began

    assert [{task["schedule_id"] for task in tasks} for tasks in ran] == [{one["id"]} for one in made]
    assert all(len({task["created_at"] for task in tasks}) == len(tasks) <= most for tasks in ran)
    assert {(await schedules.get(one))["error"] for one in made} == {None}


async def are_over(schedules: Schedules, made: list[dict[str, Any]]) -> bool:
    tasks = [task for one in made for task in await schedules.runs(one)]
    return all(task["status"] == "succeeded" for task in tasks)


@pytest.mark.parametrize(("catch_up", "least", "most"), [("none", 0, 1), ("one", 1, 1), ("all", 6, 6)])
async def test_what_was_missed_is_made_up_for_as_wanted(
    fresh: Installation, schedules: Schedules, catch_up: str, least: int, most: int
) -> None:
    began = minute()
    made = await schedules.make(catch_up=catch_up)
    await schedules.set_back(made, 5)
    async with fresh.worker():
        await eventually(lambda: is_due_later(schedules, made))
        ran = await schedules.runs(made)
        meanwhile = minute() - began

    assert least <= len(ran) <= most + meanwhile


async def is_due_later(schedules: Schedules, made: dict[str, Any]) -> bool:
    return bool((await schedules.get(made))["next_at"] >= made["next_at"])


async def test_a_paused_one_makes_nothing_and_goes_on_from_now(fresh: Installation, schedules: Schedules) -> None:
    paused, other = await schedules.make(), await schedules.make()
    await schedules.ask("POST", f"/{paused['id']}/pause")
    for one in (paused, other):
        await schedules.set_back(one, 2)
    async with fresh.worker():
        await schedules.ran(other, 1)
        made = await schedules.runs(paused)
        resumed = (await schedules.ask("POST", f"/{paused['id']}/resume")).json()

    assert made == []
    assert (resumed["is_paused"], resumed["next_at"] >= paused["next_at"]) == (False, True)


async def test_one_that_is_over_says_so(fresh: Installation, schedules: Schedules) -> None:
    made = await schedules.make(ends_at="2999-01-01T00:00:00Z")
    await schedules.set_back(made, 1)
    async with schedules._database.transaction() as session:
        past = text("UPDATE schedule SET ends_at = next_at + interval '1 second' WHERE id = :id")
        await session.execute(past, {"id": made["id"]})
    async with fresh.worker():
        ran = await schedules.ran(made, 1)

    assert (len(ran), (await schedules.get(made))["next_at"]) == (1, None)


async def test_one_whose_key_ended_is_paused_and_says_so(
    fresh: Installation, schedules: Schedules, auth: httpx.AsyncClient
) -> None:
    person = schedules.user
    key = await make_key(auth, person)
    schedules.user = await with_key(auth, person, key)
    made = await schedules.make()
    schedules.user = person
    (await auth.delete(f"/api/v1/auth/api-keys/{key['id']}", headers=person.headers)).raise_for_status()
    await schedules.set_back(made)
    async with fresh.worker():
        [*_, failed] = await schedules.ran(made, 1)  # of a minute that begins meanwhile there is another
        await Tasks(schedules.client, person).wait(failed)
        paused = await schedules.get(made)
        resumed = await schedules.ask("POST", f"/{made['id']}/resume")
        await schedules.set_back(made)
        again = await schedules.ask("POST", f"/{made['id']}/run")
        done = await Tasks(schedules.client, person).wait(again.json())

    assert (paused["is_paused"], paused["error"]["code"]) == (True, "tasks.authority_ended")
    assert (resumed.json()["is_paused"], resumed.json()["error"], done["status"]) == (False, None, "succeeded")


async def test_input_that_no_longer_fits_pauses_it(fresh: Installation, schedules: Schedules) -> None:
    made, other = await schedules.make(kind="test.sleep", input={"seconds": 0}), await schedules.make()
    async with schedules._database.transaction() as session:
        await session.execute(text("UPDATE schedule SET input = '{\"x\": 1}' WHERE id = :id"), {"id": made["id"]})
    for one in (made, other):
        await schedules.set_back(one)
    async with fresh.worker():
        await schedules.ran(other, 1)
        await eventually(lambda: is_paused(schedules, made))

    assert (await schedules.get(made))["error"]["code"] == "tasks.input_invalid"
    assert await schedules.runs(made) == []


@pytest.mark.parametrize(("sqlstate", "becomes"), [("22000", (True, "tasks.internal")), ("53200", (False, None))])
async def test_one_that_the_database_does_not_take_holds_up_no_other(
    fresh: Installation, schedules: Schedules, sqlstate: str, becomes: tuple[bool, str | None]
) -> None:
    made, other = await schedules.make(), await schedules.make()
    refuse = f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END $$
    """
    of_one = f"""
        CREATE TRIGGER refuse BEFORE INSERT ON task FOR EACH ROW
        WHEN (NEW.schedule_id = '{made["id"]}') EXECUTE FUNCTION refuse()
    """
    async with schedules._database.transaction() as session:
        for statement in (refuse, of_one):
            await session.execute(text(statement))
    await schedules.set_back(made, 5)  # due for longer than the other
    await schedules.set_back(other)
    async with fresh.worker():
        await schedules.ran(other, 1)
        if becomes[0]:
            await eventually(lambda: is_paused(schedules, made))

    read = await schedules.get(made)
    assert (read["is_paused"], read["error"] and read["error"]["code"]) == becomes
    assert await schedules.runs(made) == []


async def test_what_is_large_is_made_up_for_in_parts(
    fresh: Installation, schedules: Schedules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_PART_BYTES", 2 * len('{"n":1}'))
    began = minute()
    made = await schedules.make(catch_up="all")
    await schedules.set_back(made, 5)
    async with fresh.worker():
        await eventually(lambda: is_due_later(schedules, made))
        ran = await schedules.runs(made)
        meanwhile = minute() - began

    assert 6 <= len(ran) <= 6 + meanwhile
    assert len({task["created_at"] for task in ran}) >= 3


async def is_paused(schedules: Schedules, made: dict[str, Any]) -> bool:
    return bool((await schedules.get(made))["is_paused"])


async def test_a_run_now_is_made_once_for_a_key(schedules: Schedules) -> None:
    made = await schedules.make(**YEARLY, is_paused=True)
    headers = {"Idempotency-Key": secrets.token_hex(8)}

    first, second = [await schedules.ask("POST", f"/{made['id']}/run", headers=headers) for _ in range(2)]

    assert (first.status_code, second.headers["Idempotency-Replayed"]) == (202, "true")
    assert [one["id"] for one in await schedules.runs(made)] == [first.json()["id"]] == [second.json()["id"]]


async def test_a_repeated_request_makes_one(schedules: Schedules) -> None:
    headers = {"Idempotency-Key": secrets.token_hex(8)}

    answers = await asyncio.gather(*(schedules.ask("POST", json=BODY | YEARLY, headers=headers) for _ in range(5)))

    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert {one["id"] for one in (await schedules.ask("GET")).json()["items"]} == made
    assert len(made) == 1


async def test_a_user_has_a_hundred(schedules: Schedules) -> None:
    for _ in range(95):
        await schedules.make(**YEARLY)
    answers = await asyncio.gather(*(schedules.ask("POST", json=BODY | YEARLY) for _ in range(8)))

    refused = [answer for answer in answers if answer.status_code == 409]
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [409] * 3
    assert {answer.json()["code"] for answer in refused} == {"tasks.too_many_schedules"}


async def test_to_a_stranger_it_is_not_there(schedules: Schedules, register_user: RegisterUser) -> None:
    made = await schedules.make()
    schedules.user = await register_user()
    asked = [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/runs")]
    asked += [("POST", f"/{act}") for act in ("pause", "resume", "run")]

    for method, rest in asked:
        body = {"json": {"name": "theirs"}} if method == "PATCH" else {}
        theirs, absent = [await schedules.ask(method, f"/{id}{rest}", **body) for id in (made["id"], MISSING)]
        assert (
            (theirs.status_code, theirs.json()["code"])
            == (404, "tasks.schedule_not_found")
            == (
                absent.status_code,
                absent.json()["code"],
            )
        )
    assert (await schedules.ask("GET")).json()["items"] == []
