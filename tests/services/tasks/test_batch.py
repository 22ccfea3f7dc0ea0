"""Many tasks in one request: each has an outcome of its own, and a repetition makes none again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser
from tests.services.tasks.running import Installation, Tasks


@pytest.fixture
async def mine(tasks: Tasks, register_user: RegisterUser) -> Tasks:
    return Tasks(tasks.client, await register_user())


async def batch(tasks: Tasks, many: list[Any], **headers: str) -> httpx.Response:
    return await tasks.client.post(
        "/api/v1/tasks/submit/batch", json={"tasks": many}, headers=tasks.user.headers | headers
    )


async def number_of(tasks: Tasks) -> int:
    answer = await tasks.client.get("/api/v1/tasks/list", params={"limit": 100}, headers=tasks.user.headers)
    return len(answer.json()["items"])


async def test_what_is_wrong_takes_no_other_along(mine: Tasks) -> None:
    many = [{"kind": "echo"}, {"kind": "nothing"}, {"kind": "echo", "colour": "red"}, {}, {"kind": "echo"}]

    answer = await batch(mine, many)

    results = answer.json()["results"]
    assert answer.status_code == 200
    assert [one["status"] for one in results] == [202, 422, 422, 422, 202]
    assert results[1]["problem"]["code"] == "tasks.kind_unknown"
    assert results[2]["problem"]["errors"][0]["pointer"] == "/colour"
    assert [(await mine.get(one["task"]))["status"] for one in (results[0], results[4])] == ["queued", "queued"]
    assert await number_of(mine) == 2


async def test_a_batch_knows_order_and_keys_as_a_submit_does(mine: Tasks) -> None:
    first = await mine.submit("echo", run_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    key = {"key": new_id()}
    many = [
        {"kind": "echo", "after": {"ids": [first["id"]]}, "parent_id": first["id"]},
        {"kind": "echo", "after": {"ids": [new_id()]}},
        *({"kind": "echo", "concurrency": key, "input": {"n": n}} for n in range(10)),
        {"kind": "echo", "concurrency": key | {"on_conflict": "refuse"}},
        {"kind": "echo", "start_before": "2020-01-01T00:00:00Z"},
        {"kind": "echo", "retry": {"max_attempts": 7, "jitter": "none"}},
        {"kind": "echo", "concurrency": "of no shape"},
    ]

    results = (await batch(mine, many)).json()["results"]

    line = [one["task"] for one in results[2:12]]
    assert [one["status"] for one in results] == [202, 404, *[202] * 10, 409, 422, 202, 422]
    assert (results[0]["task"]["waiting_for"], results[0]["task"]["parent_id"]) == (1, first["id"])
    assert (results[12]["problem"]["code"], results[13]["problem"]["code"]) == (
        "tasks.key_busy",
        "tasks.starts_too_late",
    )
    assert results[14]["task"]["max_attempts"] == 7
    assert [one["waits_for_key"] for one in line] == [False, *[True] * 9]
    assert [one["id"] for one in line] == sorted(one["id"] for one in line)


async def test_a_batch_of_many_keys_leaves_places_to_others(
    installation: Installation, mine: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.tasks.flows._MOST_WAITING", 20)
    many = [{"kind": "echo", "concurrency": {"key": new_id()}} for _ in range(30)]
    async with installation.api() as client:
        answer = await batch(Tasks(client, mine.user), many)

    assert [one["status"] for one in answer.json()["results"]] == [202] * 30


async def test_a_repetition_under_the_key_makes_none_again(mine: Tasks) -> None:
    many, key = [{"kind": "echo", "input": {"n": n}} for n in range(20)], {"Idempotency-Key": new_id()}

    first, again = await batch(mine, many, **key), await batch(mine, many, **key)
    other = await batch(mine, [*many, {"kind": "echo"}], **key)

    ids = [[one["task"]["id"] for one in answer.json()["results"]] for answer in (first, again)]
    assert ids[0] == ids[1]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "common.idempotency_key_reused")
    assert await number_of(mine) == 20


async def test_five_hundred_are_taken_and_not_one_more(mine: Tasks) -> None:
    many = [{"kind": "echo"}] * 500

    taken, refused, nothing = await batch(mine, many), await batch(mine, [*many, {}]), await batch(mine, [])

    assert {one["status"] for one in taken.json()["results"]} == {202}
    assert len({one["task"]["id"] for one in taken.json()["results"]}) == 500
    assert (refused.status_code, nothing.status_code) == (422, 422)
