"""What happens to tasks is heard once and in order, through any replica, until the end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from services.tasks.main import create_app
from shared.postgres import Database
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.chat.servers import serving
from tests.services.tasks.kinds import RELEASED, TEST_KINDS
from tests.services.tasks.running import Installation, Tasks, eventually, opened
from tests.services.tasks.streaming import Heard, events_in, heard


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@asynccontextmanager
async def served(installation: Installation, **overrides: float) -> AsyncIterator[httpx.AsyncClient]:
    """A replica of its own, over a socket: what it streams comes as it is sent."""
    app = create_app(installation.settings(stream_look_seconds=0.05, **overrides), TEST_KINDS)
    async with (
        opened(app) as transport,
        serving(transport.app) as address,
        httpx.AsyncClient(
            base_url=address, timeout=PATIENCE_SECONDS, limits=httpx.Limits(max_keepalive_connections=0)
        ) as client,
    ):
        yield client


async def test_a_task_is_heard_from_its_first_state_to_its_last(tasks: Tasks, worker: FastAPI) -> None:
    task = await tasks.submit("test.say", {"lines": 2, "failures": 1})

    events = await heard(tasks.client, tasks.user.headers, task["id"])

    assert [event.type for event in events] == [
        "task.queued", "task.running", "task.log", "task.log", "task.retried",
        "task.running", "task.log", "task.log", "task.log", "task.succeeded",
    ]  # fmt: skip
    assert [event.id for event in events] == [str(n) for n in range(1, 11)]
    assert {event.data["task_id"] for event in events} == {task["id"]}
    assert events[4].data["error"]["code"] == "common.upstream_failed"
    assert (events[-1].data["status"], events[-1].data["attempt"]) == ("succeeded", 2)


@pytest.mark.parametrize(
    ("kind", "given", "last"), [("test.fail", {"how": "never"}, "failed"), ("echo", {}, "succeeded")]
)
async def test_a_stream_goes_on_where_it_was_through_another_replica(
    installation: Installation, tasks: Tasks, worker: FastAPI, kind: str, given: dict[str, str], last: str
) -> None:
    task = await tasks.run(kind, given)
    whole = await heard(tasks.client, tasks.user.headers, task["id"])

    async with served(installation) as other:
        rest = {event.id: await heard(other, tasks.user.headers, task["id"], event.id) for event in whole[:-1]}
        answer = await other.get(
            f"/api/v1/tasks/{task['id']}/events", headers=tasks.user.headers | {"Last-Event-ID": whole[-1].id}
        )

    assert whole[-1].type == f"task.{last}"
    assert all(events == whole[int(seen) :] for seen, events in rest.items())
    assert answer.status_code == 204


async def test_progress_is_heard_while_it_is_made_and_leaving_cancels_nothing(
    installation: Installation, tasks: Tasks, worker: FastAPI
) -> None:
    name = new_id()
    task = await tasks.submit("test.hold", {"name": name, "waits": True})

    lines: list[str] = []
    async with (
        served(installation, stream_heartbeat_seconds=0.1) as client,
        client.stream("GET", f"/api/v1/tasks/{task['id']}/events", headers=tasks.user.headers) as response,
    ):
        async for line in response.aiter_lines():
            lines.append(line)
            if "event: task.progress" in lines and ": still here" in lines:
                break
    RELEASED[name].set()
    ended = await tasks.wait(task)

    assert {"event: task.progress", ": still here"} <= set(lines)
    assert ended["status"] == "succeeded"


async def test_unknown_ids_and_tasks_of_others_are_refused(tasks: Tasks, other_user: User) -> None:
    task = await tasks.submit("echo", run_at=in_an_hour())
    path = f"/api/v1/tasks/{task['id']}/events"

    async def refused(where: str, headers: dict[str, str], after: str | None = None) -> tuple[int, str]:
        more = {"Last-Event-ID": after} if after else {}
        answer = await tasks.client.get(where, headers=headers | more)
        return answer.status_code, answer.json()["code"]

    mine = tasks.user.headers
    assert await refused(path, other_user.headers) == (404, "tasks.not_found")
    assert await refused(path, mine, "77") == (422, "tasks.event_unknown")
    assert await refused(path, mine, "seven") == (422, "common.invalid")
    assert await refused("/api/v1/tasks/events", mine, "999999999999999999-1") == (422, "tasks.event_unknown")
    assert await refused("/api/v1/tasks/events", mine, "7") == (422, "common.invalid")
    await tasks.cancel(task)


async def _first(
    response: httpx.Response, number: int, places: list[str], *, has_progress: bool = False
) -> list[Heard]:
    """Without progress where tasks run: whether a heartbeat comes upon a short one is chance."""
    events: list[Heard] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for event in events_in(response, places):
            if has_progress or event.type != "task.progress":
                events.append(event)
            if len(events) == number:
                break
    return events


async def at_least(places: list[str], number: int) -> bool:
    return len(places) >= number


async def test_all_of_ones_tasks_are_heard_and_no_others(
    installation: Installation, tasks: Tasks, worker: FastAPI, register_user: RegisterUser
) -> None:
    mine = Tasks(tasks.client, await register_user())
    places: list[str] = []
    async with served(installation) as client:
        async with client.stream("GET", "/api/v1/tasks/events", headers=mine.user.headers) as response:
            hearing = asyncio.create_task(_first(response, 9, places))
            await eventually(lambda: at_least(places, 1))
            await tasks.run("echo")
            made = [await mine.submit("echo") for _ in range(3)]
            events = await hearing
        again = mine.user.headers | {"Last-Event-ID": places[0]}
        async with client.stream("GET", "/api/v1/tasks/events", headers=again) as response:
            repeated = await _first(response, 9, [])

    assert {event.data["task_id"] for event in events} == {one["id"] for one in made}
    for one in made:
        types = [event.type for event in events if event.data["task_id"] == one["id"]]
        assert types == ["task.queued", "task.running", "task.succeeded"]
    assert repeated == events
    ids = [tuple(map(int, event.id.split("-"))) for event in events]
    assert ids == sorted(set(ids))


async def test_what_is_committed_late_is_not_passed_over(
    installation: Installation, tasks: Tasks, database: Database, register_user: RegisterUser
) -> None:
    """The older transaction commits after the younger one: whoever read on from the younger one would miss it."""
    mine = Tasks(tasks.client, await register_user())
    first, second = [await mine.submit("test.sleep", run_at=in_an_hour()) for _ in range(2)]
    moved = text("UPDATE task SET progress_done = progress_done + 1 WHERE id = CAST(:id AS uuid)")
    places: list[str] = []
    async with (
        served(installation, stream_heartbeat_seconds=0.1) as client,
        client.stream("GET", "/api/v1/tasks/events", headers=mine.user.headers) as response,
    ):
        hearing = asyncio.create_task(_first(response, 2, places, has_progress=True))
        await eventually(lambda: at_least(places, 1))
        async with database.transaction() as early:
            await early.execute(moved, {"id": first["id"]})
            async with database.transaction() as late:
                await late.execute(moved, {"id": second["id"]})
            looks = len(places) + 3
            await eventually(lambda: at_least(places, looks))  # heartbeats: it has looked, and looked again
            assert not hearing.done()
        events = await hearing

    assert [event.data["task_id"] for event in events] == [first["id"], second["id"]]


async def test_one_user_cannot_take_every_place(installation: Installation, tasks: Tasks) -> None:
    task = await tasks.submit("test.sleep", run_at=in_an_hour())
    path = f"/api/v1/tasks/{task['id']}/events"
    async with (
        served(installation, max_streams=4) as client,
        client.stream("GET", path, headers=tasks.user.headers) as first,
    ):
        answer = await client.get(path, headers=tasks.user.headers)
        first_status = first.status_code

    assert first_status == 200
    assert (answer.status_code, answer.json()["code"]) == (429, "common.share_taken")


async def test_streams_end_with_the_session_they_were_opened_with(
    installation: Installation, tasks: Tasks, register_user: RegisterUser, auth: httpx.AsyncClient
) -> None:
    mine = Tasks(tasks.client, await register_user())
    task = await mine.submit("echo", run_at=in_an_hour())
    of_one, of_all = f"/api/v1/tasks/{task['id']}/events", "/api/v1/tasks/events"
    async with (
        served(installation, stream_heartbeat_seconds=0.1) as client,
        client.stream("GET", of_one, headers=mine.user.headers) as one,
        client.stream("GET", of_all, headers=mine.user.headers) as every,
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        opened_with = (one.status_code, every.status_code)
        (await auth.post("/api/v1/auth/logout", headers=mine.user.headers)).raise_for_status()
        ends = [[line async for line in response.aiter_lines()] for response in (one, every)]

    assert opened_with == (200, 200)
    assert all(ends)


async def test_a_hundred_followers_of_a_hundred_tasks_hear_all(
    new_installation: Callable[[], Installation], user: User
) -> None:
    installation = new_installation()
    following, opening = list[str](), asyncio.Semaphore(10)

    async def follow(client: httpx.AsyncClient, task_id: str) -> list[Heard]:
        """A few ask at once whether they may: who waits for a connection of the database has two seconds."""
        async with AsyncExitStack() as stack:
            async with opening:
                asked = client.stream("GET", f"/api/v1/tasks/{task_id}/events", headers=user.headers)
                events = events_in(await stack.enter_async_context(asked))
                first = await anext(events)
            following.append(task_id)
            return [first, *[event async for event in events]]

    async with served(installation, max_streams=400) as client:
        tasks = Tasks(client, user)
        made = await asyncio.gather(*(tasks.submit("echo") for _ in range(100)))
        hearing = [asyncio.create_task(follow(client, one["id"])) for one in made]
        await eventually(lambda: at_least(following, 100))
        async with installation.worker():
            everything = await asyncio.gather(*hearing)

    assert all([event.type for event in one][-1] == "task.succeeded" for one in everything)
    assert all([event.id for event in one] == [str(n) for n in range(1, len(one) + 1)] for one in everything)
