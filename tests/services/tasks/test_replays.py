"""A failed task is settled once: replayed as a new one, or discarded. It stays as it ended."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from shared.postgres import Database
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.tasks.running import Tasks

HOPELESS = {"how": "never"}


@pytest.fixture
async def mine(tasks: Tasks, register_user: RegisterUser) -> Tasks:
    return Tasks(tasks.client, await register_user())


async def post(tasks: Tasks, path: str, json: Any = None, **headers: str) -> httpx.Response:
    return await tasks.client.post(f"/api/v1/tasks/{path}", json=json, headers=tasks.user.headers | headers)


async def fail(tasks: Tasks, **given: Any) -> dict[str, Any]:
    ended = await tasks.run("test.fail", given or HOPELESS, max_attempts=1)
    assert ended["status"] == "failed"
    return ended


async def test_a_failed_task_is_replayed_as_a_new_one_and_stays_as_it_is(mine: Tasks, worker: FastAPI) -> None:
    dead = await fail(mine, how="later")

    answer = await post(mine, f"{dead['id']}/replay")
    new = await mine.wait(answer.json())
    kept = await mine.get(dead)

    assert answer.status_code == 202
    assert answer.headers["Location"].endswith(answer.json()["id"])
    assert (new["replay_of"], new["input"], new["attempt"]) == (dead["id"], dead["input"], 1)
    changed = {"replayed_as": new["id"]}
    assert kept == dead | changed
    assert dead["dead_letter"]


async def test_a_replay_stands_in_line_for_the_key_of_the_failed_one(mine: Tasks, worker: FastAPI) -> None:
    key = {"key": new_id()}
    ended = await mine.run("test.fail", HOPELESS, concurrency=key, retry={"max_attempts": 1})
    busy = await mine.submit("test.sleep", concurrency=key)
    await mine.wait(busy, lambda read: read["status"] == "running")

    new = (await post(mine, f"{ended['id']}/replay")).json()
    waits = (new["waits_for_key"], new["concurrency_key"], new["retry"]["max_attempts"])
    await mine.cancel(busy)
    done = await mine.wait(new)

    assert waits == (True, key["key"], 1)
    assert (done["status"], done["attempt"]) == ("failed", 1)


async def test_of_many_replays_at_once_one_makes_a_task(mine: Tasks, worker: FastAPI) -> None:
    dead = await fail(mine)

    answers = await asyncio.gather(*(post(mine, f"{dead['id']}/replay") for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7
    [made] = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    assert {answer.json()["replayed_as"] for answer in answers if answer.status_code == 409} == {made}


async def test_a_replay_under_a_key_is_answered_again(mine: Tasks, worker: FastAPI) -> None:
    dead, key = await fail(mine), {"Idempotency-Key": new_id()}

    first, *again = await asyncio.gather(*(post(mine, f"{dead['id']}/replay", **key) for _ in range(4)))

    assert {answer.status_code for answer in (first, *again)} == {202}
    assert len({answer.json()["id"] for answer in (first, *again)}) == 1


async def test_only_what_failed_is_settled_and_only_once(mine: Tasks, worker: FastAPI, other_user: User) -> None:
    dead, done = await fail(mine), await mine.run("echo")
    running = await mine.submit("test.sleep")
    await mine.wait(running, lambda now: now["status"] == "running")

    async def code(task: dict[str, Any], what: str, tasks: Tasks = mine) -> tuple[int, str]:
        answer = await post(tasks, f"{task['id']}/{what}")
        return answer.status_code, answer.json().get("code", "")

    assert await code(running, "replay") == (409, "tasks.not_failed")
    assert await code(done, "discard") == (409, "tasks.not_failed")
    assert await code(dead, "replay", Tasks(mine.client, other_user)) == (404, "tasks.not_found")
    assert await code(dead, "discard", Tasks(mine.client, other_user)) == (404, "tasks.not_found")
    assert await code(dead, "discard") == (200, "")
    assert await code(dead, "discard") == (409, "tasks.already_settled")
    assert await code(dead, "replay") == (409, "tasks.already_settled")
    assert (await mine.get(dead))["discarded_at"] is not None
    await mine.cancel(running)


async def test_a_replay_may_do_what_its_caller_may(
    mine: Tasks, worker: FastAPI, database: Database, register_user: RegisterUser
) -> None:
    """Of a caller with few scopes the new task has few; a kind that needs more is refused."""
    few = Tasks(mine.client, await register_user(scope="tasks:write tasks:read"))
    dead = await fail(few)
    async with database.transaction() as session:
        moved = text("UPDATE task SET kind = 'vectors.ingest', scopes = '{vectors:write}' WHERE id = CAST(:id AS uuid)")
        await session.execute(moved, {"id": dead["id"]})

    answer = await post(few, f"{dead['id']}/replay")

    assert (answer.status_code, answer.json()["code"]) == (403, "common.missing_scope")
    assert (await few.get(dead))["replayed_as"] is None


async def counted(tasks: Tasks) -> dict[tuple[str, bool], int]:
    answer = await tasks.client.get("/api/v1/tasks/dead-letters", headers=tasks.user.headers)
    assert answer.json()["is_whole"]
    return {(one["error_code"], one["dead_letter"]): one["count"] for one in answer.json()["items"]}


async def test_what_failed_is_counted_until_it_is_settled(mine: Tasks, worker: FastAPI) -> None:
    dead = [await fail(mine) for _ in range(2)] + [await fail(mine, how="later")]
    before = await counted(mine)

    await post(mine, f"{dead[0]['id']}/discard")

    assert before == {("test.hopeless", False): 2, ("common.upstream_failed", True): 1}
    assert await counted(mine) == {("test.hopeless", False): 1, ("common.upstream_failed", True): 1}


async def test_many_are_replayed_by_a_task_oldest_first(mine: Tasks, worker: FastAPI) -> None:
    dead = [await fail(mine) for _ in range(3)]
    other = await fail(mine, how="later")

    answer = await post(mine, "replay", {"error_code": "test.hopeless", "limit": 2, "rate": 100})
    done = await mine.wait(answer.json())

    assert answer.status_code == 202
    assert (done["kind"], done["result"], done["progress"]["done"]) == (
        "tasks.replay", {"replayed": 2, "skipped": 0}, 2,
    )  # fmt: skip
    read = [await mine.get(one) for one in (*dead, other)]
    assert [one["replayed_as"] is not None for one in read] == [True, True, False, False]
    new = await mine.get({"id": read[0]["replayed_as"]})
    assert (new["replay_of"], new["submitted_by"]) == (dead[0]["id"], mine.user.user_id)


async def test_a_replay_that_fails_again_is_not_replayed_once_more(mine: Tasks, worker: FastAPI) -> None:
    dead = await fail(mine)

    done = await mine.wait((await post(mine, "replay", {"rate": 1})).json())  # a second, in which the replay fails too

    replay = await mine.wait({"id": (await mine.get(dead))["replayed_as"]})
    assert done["result"] == {"replayed": 1, "skipped": 0}
    assert (replay["status"], replay["replayed_as"]) == ("failed", None)


async def test_others_tasks_are_not_among_many(mine: Tasks, worker: FastAPI, other_user: User) -> None:
    theirs = await fail(Tasks(mine.client, other_user))

    done = await mine.wait((await post(mine, "replay", {})).json())

    assert done["result"] == {"replayed": 0, "skipped": 0}
    assert (await Tasks(mine.client, other_user).get(theirs))["replayed_as"] is None


@pytest.mark.parametrize("body", [{"limit": 1001}, {"rate": 0}, {"rate": 1000}, {"status": "failed"}, {"kind": ""}])
async def test_bounds_of_a_replay_of_many(mine: Tasks, body: dict[str, Any]) -> None:
    answer = await post(mine, "replay", body)

    assert answer.status_code == 422
