"""A submit that is repeated under its key when nobody remembers its answer: there is one task.

Another API with another Redis has neither the answer nor the claim: it sees what a repetition sees after the process
died, the claim lapsed, or Redis lost what it had.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import func, select, text

from local.suite import Suite
from services.tasks.models import IdempotencyKeyRow, Task
from shared.postgres import Database
from shared.schemas import new_id
from tests.fixtures.commits import commits_lost
from tests.fixtures.identity import RegisterUser, User
from tests.services.tasks.running import Installation, eventually

SUBMIT = "/api/v1/tasks/submit"


@pytest.fixture
async def forgetful(
    suite: Suite, installation: Installation, api: httpx.AsyncClient
) -> AsyncIterator[httpx.AsyncClient]:
    """The same installation through an API whose Redis knows nothing."""
    async with installation.api(redis_url=f"{suite.url('redis').rpartition('/')[0]}/7") as client:
        yield client


@pytest.fixture
async def person(register_user: RegisterUser) -> User:
    return await register_user()


@pytest.fixture
def headers(person: User) -> dict[str, str]:
    return person.headers | {"Idempotency-Key": new_id()}


async def tasks_of(database: Database, person: User) -> int:
    async with database.session() as session:
        return await session.scalar(select(func.count()).where(Task.tenant_id == person.tenant_id)) or 0


async def test_a_repetition_finds_the_task_whose_answer_was_lost(
    api: httpx.AsyncClient, forgetful: httpx.AsyncClient, headers: dict[str, str], person: User, database: Database
) -> None:
    first = await api.post(SUBMIT, json={"kind": "echo"}, headers=headers)

    again = await forgetful.post(SUBMIT, json={"kind": "echo"}, headers=headers)
    other = await forgetful.post(SUBMIT, json={"kind": "echo", "input": {"n": 1}}, headers=headers)

    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "common.idempotency_key_reused")
    assert await tasks_of(database, person) == 1


async def test_a_repetition_is_told_the_task_as_it_is_now(
    api: httpx.AsyncClient, forgetful: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    body = {"kind": "echo", "run_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    first = await api.post(SUBMIT, json=body, headers=headers)
    await api.post(f"/api/v1/tasks/{first.json()['id']}/cancel", headers=headers)

    again = await forgetful.post(SUBMIT, json=body, headers=headers)

    assert (again.json()["id"], again.json()["status"]) == (first.json()["id"], "cancelled")


async def test_many_at_once_without_a_claim_make_one_task(
    api: httpx.AsyncClient, forgetful: httpx.AsyncClient, headers: dict[str, str], person: User, database: Database
) -> None:
    async def submit(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(SUBMIT, json={"kind": "echo"}, headers=headers)

    answers = await asyncio.gather(*(submit(client) for client in (api, forgetful) * 5))

    made = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    assert len(made) == 1
    assert {answer.status_code for answer in answers} <= {202, 409}  # in use, for the others of one Redis
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
