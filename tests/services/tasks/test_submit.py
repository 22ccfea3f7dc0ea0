"""What is accepted, what is refused, and who sees it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text

from services.tasks.domain import Priority, TaskStatus
from services.tasks.filters import TaskFilter
from services.tasks.models import Task
from shared.postgres import Database
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.tasks.running import Installation, Tasks


async def post(client: httpx.AsyncClient, user: User, content: bytes | None = None, **body: Any) -> httpx.Response:
    headers = {**user.headers, "Content-Type": "application/json"}
    if content is not None:
        return await client.post("/api/v1/tasks/submit", content=content, headers=headers)
    return await client.post("/api/v1/tasks/submit", json=body, headers=headers)


async def test_an_accepted_task_is_queued_and_can_be_followed(api: httpx.AsyncClient, user: User) -> None:
    answer = await post(api, user, kind="echo", input={"text": "hi"}, priority="high")

    task = answer.json()
    followed = await api.get(answer.headers["Location"], headers=user.headers)
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1/tasks/status/{task['id']}"
    assert followed.json() == task
    assert followed.headers["ETag"].startswith('"1:')
    assert (task["status"], task["priority"], task["attempt"], task["input"]) == ("queued", "high", 0, {"text": "hi"})


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"kind": "nope"}, "tasks.kind_unknown", "/kind"),
        ({}, "common.invalid", "/kind"),
        ({"kind": "k" * 65}, "common.invalid", "/kind"),
        ({"kind": "echo", "input": [1]}, "common.invalid", "/input"),
        ({"kind": "echo", "webhook_url": "http://example.com"}, "common.invalid", "/webhook_url"),
        ({"kind": "echo", "priority": "urgent"}, "common.invalid", "/priority"),
        ({"kind": "echo", "max_attempts": 0}, "common.invalid", "/max_attempts"),
        ({"kind": "echo", "max_attempts": 21}, "common.invalid", "/max_attempts"),
        ({"kind": "echo", "timeout_seconds": 0.5}, "common.invalid", "/timeout_seconds"),
        ({"kind": "echo", "timeout_seconds": 1501}, "common.invalid", "/timeout_seconds"),
        ({"kind": "echo", "run_at": "tomorrow"}, "common.invalid", "/run_at"),
        ({"kind": "echo", "run_at": "2026-01-01T00:00:00"}, "common.invalid", "/run_at"),
        ({"kind": "echo", "run_at": "2999-01-01T00:00:00Z"}, "tasks.run_at_too_far", "/run_at"),
        ({"kind": "echo", "start_before": "2020-01-01T00:00:00Z"}, "tasks.starts_too_late", "/start_before"),
        ({"kind": "echo", "retry": {"base_seconds": 0}}, "common.invalid", "/retry/base_seconds"),
        ({"kind": "echo", "retry": {"jitter": "some"}}, "common.invalid", "/retry/jitter"),
        ({"kind": "echo", "retry": {"forever": True}}, "common.invalid", "/retry/forever"),
        ({"kind": "echo", "retry": {"not_on": ["x"] * 51}}, "common.invalid", "/retry/not_on"),
        ({"kind": "echo", "retry": {"max_attempts": 2}, "max_attempts": 2}, "common.invalid", ""),
        ({"kind": "echo", "input": {"n": 2**64}}, "tasks.input_invalid", "/input"),
        ({"kind": "echo", "input": {"text": "x" * 2**20}}, "tasks.input_too_large", "/input"),
        ({"kind": "vectors.ingest"}, "tasks.input_invalid", "/input/collection"),
        (
            {"kind": "vectors.ingest", "input": {"collection": "c", "documents": [{"txt": "x"}]}},
            "tasks.input_invalid",
            "/input/documents/0/txt",
        ),
        ({"kind": "agent.run", "input": {"agent_id": "x", "content": "hi"}}, "tasks.input_invalid", "/input/agent_id"),
    ],
)
async def test_bad_input_is_refused_where_it_is(
    api: httpx.AsyncClient, user: User, body: dict[str, Any], code: str, pointer: str
) -> None:
    answer = await post(api, user, **body)

    assert answer.status_code == 422
    assert answer.json()["code"] == code
    assert pointer in [problem["pointer"] for problem in answer.json()["errors"]]


@pytest.mark.parametrize(
    "content",
    [
        b'{"kind": "echo"',
        b'{"kind": "echo", "input": {"x": NaN}}',
        b'{"kind": "echo", "input": {"x": 1e999}}',
        b'{"kind": "echo", "input": {"x": "\\ud800"}}',
        b'{"kind": "ec\\u0000ho"}',
        b'{"kind": "echo", "input": {"x": ' + b"[" * 300 + b"]" * 300 + b"}}",
        b'{"kind": "echo", "input": {"x": ' + b"[" * 90_000 + b"]" * 90_000 + b"}}",
    ],
)
async def test_what_json_proper_cannot_hold_is_refused(api: httpx.AsyncClient, user: User, content: bytes) -> None:
    answer = await post(api, user, content)

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_body_beyond_the_bound_is_too_large(api: httpx.AsyncClient, user: User) -> None:
    answer = await post(api, user, b'{"kind": "echo", "input": {"x": "' + b"x" * 3 * 2**20 + b'"}}')

    assert answer.status_code == 413


async def test_a_kind_asks_for_its_scopes(api: httpx.AsyncClient, register_user: RegisterUser) -> None:
    limited = await register_user(scope="tasks:write tasks:read")

    echo = await post(api, limited, kind="echo")
    ingest = await post(api, limited, kind="vectors.ingest", input={"collection": "c", "documents": [{"text": "x"}]})

    assert echo.status_code == 202
    assert (ingest.status_code, ingest.json()["code"]) == (403, "common.missing_scope")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/tasks/submit"),
        ("GET", "/api/v1/tasks/status/01890a5d-ac96-774b-bcce-b302099a8057"),
        ("GET", "/api/v1/tasks/list"),
        ("GET", "/api/v1/tasks/kinds"),
        ("POST", "/api/v1/tasks/01890a5d-ac96-774b-bcce-b302099a8057/cancel"),
    ],
)
async def test_every_route_wants_a_caller_with_its_scope(
    api: httpx.AsyncClient, register_user: RegisterUser, method: str, path: str
) -> None:
    stranger = await register_user(scope="agents:read")
    body: dict[str, Any] = {"json": {"kind": "echo"}} if path.endswith("submit") else {}

    nobody = await api.request(method, path, **body)
    wrong_scope = await api.request(method, path, headers=stranger.headers, **body)

    assert nobody.status_code == 401
    assert wrong_scope.status_code == 403


async def test_another_tenants_task_is_not_there(tasks: Tasks, other_user: User) -> None:
    task = await tasks.submit("echo")
    stranger = other_user.headers

    read = await tasks.client.get(f"/api/v1/tasks/status/{task['id']}", headers=stranger)
    cancelled = await tasks.client.post(f"/api/v1/tasks/{task['id']}/cancel", headers=stranger)
    listed = await tasks.client.get("/api/v1/tasks/list?limit=100", headers=stranger)

    assert (read.status_code, read.json()["code"]) == (404, "tasks.not_found")
    assert (cancelled.status_code, cancelled.json()["code"]) == (404, "tasks.not_found")
    assert task["id"] not in [one["id"] for one in listed.json()["items"]]
    assert (await tasks.get(task))["status"] == "queued"


async def test_the_same_idempotency_key_makes_one_task(tasks: Tasks) -> None:
    headers = {**tasks.user.headers, "Idempotency-Key": f"once-{datetime.now(UTC).timestamp()}"}

    first, second = [
        await tasks.client.post("/api/v1/tasks/submit", json={"kind": "echo"}, headers=headers) for _ in range(2)
    ]
    other = await tasks.client.post("/api/v1/tasks/submit", json={"kind": "echo", "input": {"x": 1}}, headers=headers)

    assert second.status_code == 202
    assert second.json() == first.json()
    assert second.headers["Location"] == first.headers["Location"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "common.idempotency_key_reused")


async def test_pages_are_stable_while_others_write(tasks: Tasks, register_user: RegisterUser) -> None:
    mine = Tasks(tasks.client, await register_user())
    made = [(await mine.submit("echo", {"n": n}))["id"] for n in range(5)]

    first = (await mine.client.get("/api/v1/tasks/list?limit=2", headers=mine.user.headers)).json()
    await mine.submit("echo")
    rest: list[dict[str, Any]] = []
    cursor = first["next_cursor"]
    while cursor:
        url = f"/api/v1/tasks/list?limit=2&cursor={cursor}"
        page = (await mine.client.get(url, headers=mine.user.headers)).json()
        rest, cursor = rest + page["items"], page["next_cursor"]

    assert [one["id"] for one in first["items"] + rest] == made[::-1]
    assert all("input" not in one and "result" not in one for one in rest)


async def test_lists_filter_by_state_and_kind(tasks: Tasks, register_user: RegisterUser) -> None:
    mine = Tasks(tasks.client, await register_user())
    later = datetime.now(UTC) + timedelta(hours=1)
    echo = await mine.submit("echo", run_at=later.isoformat())
    sleep = await mine.submit("test.sleep", run_at=later.isoformat())
    await mine.cancel(sleep)

    async def ids(query: str) -> list[str]:
        answer = await mine.client.get(f"/api/v1/tasks/list?{query}", headers=mine.user.headers)
        return [one["id"] for one in answer.json()["items"]]

    assert await ids("status=queued") == [echo["id"]]
    assert await ids("status=cancelled") == [sleep["id"]]
    assert await ids("kind=test.sleep") == [sleep["id"]]
    assert await ids("priority=normal&error_code=tasks.cancelled") == [sleep["id"]]
    assert await ids("priority=high") == []
    assert await ids("dead_letter=true") == []
    assert await ids("dead_letter=false&unsettled=false") == [sleep["id"], echo["id"]]
    assert await ids("status=succeeded") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "status=lost",
        "cursor=x",
        "kind=",
        "dead_letter=perhaps",
        "priority=0",
        "error_code=",
        "created_after=0",
        "created_before=1999",
        "dead_leter=true",
    ],
)
async def test_bad_list_parameters_are_refused(tasks: Tasks, query: str) -> None:
    answer = await tasks.client.get(f"/api/v1/tasks/list?{query}", headers=tasks.user.headers)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"query/{query.partition('=')[0]}"


async def test_a_stretch_of_time_has_what_was_submitted_in_it(tasks: Tasks, register_user: RegisterUser) -> None:
    mine = Tasks(tasks.client, await register_user())
    made = [await mine.submit("echo") for _ in range(3)]

    async def ids(**query: str) -> list[str]:
        answer = await mine.client.get("/api/v1/tasks/list", params=query, headers=mine.user.headers)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["items"]]

    long_ago, never = "0001-01-02T00:00:00Z", "9999-12-30T00:00:00Z"
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert await ids(created_after=long_ago, created_before=never) == [one["id"] for one in reversed(made)]
    assert made[2]["id"] not in await ids(created_before=made[2]["created_at"])
    assert made[0]["id"] in await ids(created_before=made[2]["created_at"])
    assert await ids(created_after=tomorrow) == []


_MANY = """
INSERT INTO task (id, tenant_id, user_id, scopes, kind, priority, input, status, dead_letter, progress_done, attempt,
    interruptions, max_attempts, timeout_seconds, run_at, version, created_at, discarded_at)
SELECT gen_random_uuid(), 't', 'u', '{}', 'other', 'normal', '{}',
    CASE WHEN n % 2 = 0 THEN 'failed' ELSE 'succeeded' END, false, 0, 1, 0, 1, 1, now(), 1, now(),
    CASE WHEN n % 2 = 0 THEN now() END
FROM generate_series(1, 3000) AS n
"""


async def test_every_filter_of_a_list_has_an_index(tasks: Tasks, database: Database) -> None:
    wanted = {
        "ix_task_status": TaskFilter(status=TaskStatus.QUEUED),
        "ix_task_kind": TaskFilter(kind="echo"),
        "ix_task_priority": TaskFilter(priority=Priority.HIGH),
        "ix_task_error": TaskFilter(error_code="tasks.timed_out"),
        "ix_task_dead_letter": TaskFilter(dead_letter=True),
        "ix_task_unsettled": TaskFilter(unsettled=True),
        "ix_task_parent": TaskFilter(parent_id=new_id()),
    }
    async with database.session() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        await session.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        await session.execute(text(_MANY))  # of none all indexes cost the same
        await session.execute(text("ANALYZE task"))
        for index, one in wanted.items():
            listed = select(Task.id).where(Task.tenant_id == "t", *one.conditions()).order_by(Task.id.desc()).limit(20)
            written = listed.compile(dialect=database.engine.dialect, compile_kwargs={"literal_binds": True})
            plan = "\n".join(row[0] for row in await session.execute(text(f"EXPLAIN {written}")))
            assert index in plan, plan
            assert "Sort" not in plan, plan


async def test_a_cursor_of_other_filters_is_refused(tasks: Tasks) -> None:
    for _ in range(2):
        await tasks.submit("echo")
    page = (await tasks.client.get("/api/v1/tasks/list?limit=1", headers=tasks.user.headers)).json()

    url = f"/api/v1/tasks/list?limit=1&kind=echo&cursor={page['next_cursor']}"
    answer = await tasks.client.get(url, headers=tasks.user.headers)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "query/cursor")


async def test_kinds_show_the_schema_of_their_input(tasks: Tasks) -> None:
    answer = await tasks.client.get("/api/v1/tasks/kinds", headers=tasks.user.headers)

    kinds = {kind["name"]: kind for kind in answer.json()["items"]}
    assert {"agent.run", "echo", "vectors.ingest"} <= kinds.keys()
    assert kinds["vectors.ingest"]["scopes"] == ["vectors:write", "vectors:read"]
    assert set(kinds["vectors.ingest"]["input_schema"]["required"]) == {"collection", "documents"}


async def test_many_submits_at_once_are_all_kept(new_installation: Callable[[], Installation], user: User) -> None:
    async with new_installation().api() as client:  # no worker of another test has to do them first
        tasks = Tasks(client, user)
        made = await asyncio.gather(*(tasks.submit("echo", {"n": n}) for n in range(200)))

        # One after the other: of those who wait for a connection of the database each has two seconds.
        read = [await tasks.get(task) for task in made]

    assert [task["input"]["n"] for task in read] == list(range(200))
    assert len({task["id"] for task in made}) == 200


async def test_cancelling_a_queued_task_is_final_at_once(tasks: Tasks) -> None:
    task = await tasks.submit("echo", run_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())

    first, second = await tasks.cancel(task), await tasks.cancel(task)

    assert first.status_code == 200
    assert (first.json()["status"], first.json()["error"]["code"]) == ("cancelled", "tasks.cancelled")
    assert first.json()["finished_at"] is not None
    assert (second.status_code, second.json()["code"]) == (409, "tasks.already_finished")
    assert "cancelled" in second.json()["detail"]
