"""A submit that is repeated under its key: there is one task, and no Redis is needed to know it."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import func, select, text

from services.tasks.models import IdempotencyKeyRow, Task
from shared.postgres import Database
from shared.schemas import new_id
from tests.fixtures.commits import commits_lost
from tests.fixtures.identity import RegisterUser, User
from tests.services.tasks.running import Installation, eventually

SUBMIT = "/api/v1/tasks/submit"


@pytest.fixture
async def person(register_user: RegisterUser) -> User:
    return await register_user()


@pytest.fixture
def headers(person: User) -> dict[str, str]:
    return person.headers | {"Idempotency-Key": new_id()}


async def tasks_of(database: Database, person: User) -> int:
    async with database.session() as session:
        return await session.scalar(select(func.count()).where(Task.tenant_id == person.tenant_id)) or 0


async def test_a_repetition_finds_the_task(
    api: httpx.AsyncClient, headers: dict[str, str], person: User, database: Database
) -> None:
    first = await api.post(SUBMIT, json={"kind": "echo"}, headers=headers)

    again = await api.post(SUBMIT, json={"kind": "echo"}, headers=headers)
    other = await api.post(SUBMIT, json={"kind": "echo", "input": {"n": 1}}, headers=headers)

    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "common.idempotency_key_reused")
    assert await tasks_of(database, person) == 1


async def test_a_repetition_is_told_the_task_as_it_is_now(api: httpx.AsyncClient, headers: dict[str, str]) -> None:
    body = {"kind": "echo", "run_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    first = await api.post(SUBMIT, json=body, headers=headers)
    await api.post(f"/api/v1/tasks/{first.json()['id']}/cancel", headers=headers)

    again = await api.post(SUBMIT, json=body, headers=headers)

    assert (again.json()["id"], again.json()["status"]) == (first.json()["id"], "cancelled")


async def test_many_at_once_on_two_replicas_make_one_task(
    installation: Installation, api: httpx.AsyncClient, headers: dict[str, str], person: User, database: Database
) -> None:
    async with installation.api() as other:
        answers = await asyncio.gather(
            *(client.post(SUBMIT, json={"kind": "echo"}, headers=headers) for client in (api, other) * 5)
        )

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await tasks_of(database, person) == 1


async def test_a_commit_behind_a_503_is_found_by_the_repetition(
    installation: Installation, headers: dict[str, str], person: User, database: Database
) -> None:
    async with installation.api() as client:
        with commits_lost("task"):
            refused = await client.post(SUBMIT, json={"kind": "echo"}, headers=headers)

        again = await client.post(SUBMIT, json={"kind": "echo"}, headers=headers)

    assert (refused.status_code, again.status_code) == (503, 202)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await tasks_of(database, person) == 1


async def test_without_redis_a_key_holds(installation: Installation, headers: dict[str, str]) -> None:
    async with installation.api(redis_url="redis://127.0.0.1:1/0") as client:
        first, again = [await client.post(SUBMIT, json={"kind": "echo"}, headers=headers) for _ in range(2)]

    assert (first.status_code, again.status_code) == (202, 202)
    assert (again.json()["id"], again.headers["Idempotency-Replayed"]) == (first.json()["id"], "true")


async def test_keys_of_yesterday_are_forgotten(
    installation: Installation, api: httpx.AsyncClient, headers: dict[str, str], database: Database
) -> None:
    await api.post(SUBMIT, json={"kind": "echo"}, headers=headers)
    async with database.transaction() as session:
        await session.execute(text("UPDATE idempotency_key SET created_at = now() - interval '25 hours'"))

    async with installation.worker():
        await eventually(lambda: _is_empty(database))


async def _is_empty(database: Database) -> bool:
    async with database.session() as session:
        return await session.scalar(select(func.count()).select_from(IdempotencyKeyRow)) == 0
