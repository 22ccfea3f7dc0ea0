"""S21: a task ends with what it was submitted with: the key, the session, the user, their place in the tenant."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from local.suite import Suite
from services.auth.lifespan import MIGRATIONS
from shared.errors import Unauthenticated
from shared.postgres import Database, open_database
from tests.fixtures.identity import RegisterUser, User, admin_headers, service_headers
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.services.auth.tenancy import Join, log_in
from tests.services.tasks.running import Installation, Tasks

KEYS = "/api/v1/auth/api-keys"
TOKEN = "/api/v1/auth/token"
SCOPES = ["tasks:read", "tasks:write", "auth:profile"]


@pytest.fixture
async def auth_database(suite: Suite) -> AsyncIterator[Database]:
    async with open_database(suite.environment("auth")["DATABASE_URL"], "auth", MIGRATIONS) as database:
        yield database


@dataclass(frozen=True)
class Given:
    """What a task was submitted with, and who else is there to end it."""

    auth: httpx.AsyncClient
    suite: Suite
    database: Database
    owner: User
    member: User
    key: dict[str, Any]


async def make_key(auth: httpx.AsyncClient, user: User, **changes: Any) -> dict[str, Any]:
    answer = await auth.post(KEYS, json={"name": "ci", "scopes": SCOPES} | changes, headers=user.headers)
    return dict(answer.raise_for_status().json())


async def with_key(auth: httpx.AsyncClient, user: User, key: dict[str, Any]) -> User:
    """The user, with the token that the key stands for."""
    form = {"grant_type": "client_credentials", "client_id": key["prefix"], "client_secret": key["key"]}
    answer = (await auth.post(TOKEN, data=form)).raise_for_status()
    return replace(user, token=answer.json()["access_token"])


async def revoke_the_key(given: Given) -> None:
    (await given.auth.delete(f"{KEYS}/{given.key['id']}", headers=given.member.headers)).raise_for_status()


async def let_the_key_expire(given: Given) -> None:
    async with given.database.transaction() as session:
        past = text("UPDATE api_key SET expires_at = now() - interval '1 second' WHERE id = :id")
        await session.execute(past, {"id": given.key["id"]})


async def rotate_the_key_at_once(given: Given) -> None:
    url = f"{KEYS}/{given.key['id']}/rotate"
    (await given.auth.post(url, json={"overlap_seconds": 0}, headers=given.member.headers)).raise_for_status()


async def log_out(given: Given) -> None:
    (await given.auth.post("/api/v1/auth/logout", headers=given.member.headers)).raise_for_status()


async def let_the_session_expire(given: Given) -> None:
    async with given.database.transaction() as session:
        past = text("UPDATE login_session SET expires_at = now() WHERE user_id = :id AND tenant_id = :tenant_id")
        await session.execute(past, {"id": given.member.user_id, "tenant_id": given.member.tenant_id})


async def remove_the_member(given: Given) -> None:
    url = f"/api/v1/auth/members/{given.member.user_id}"
    (await given.auth.delete(url, headers=given.owner.headers)).raise_for_status()


async def lower_the_member(given: Given) -> None:
    url = f"/api/v1/auth/members/{given.member.user_id}"
    (await given.auth.patch(url, json={"role": "viewer"}, headers=given.owner.headers)).raise_for_status()


async def disable_the_user(given: Given) -> None:
    url = f"/api/v1/auth/users/{given.member.user_id}/disable"
    (await given.auth.post(url, headers=await admin_headers(given.auth, given.suite))).raise_for_status()


End = Callable[[Given], Awaitable[None]]
OF_A_KEY = [revoke_the_key, let_the_key_expire, rotate_the_key_at_once]
OF_A_SESSION = [log_out, let_the_session_expire]
OF_BOTH = [remove_the_member, lower_the_member, disable_the_user]
CASES = [("key", end) for end in OF_A_KEY + OF_BOTH] + [("session", end) for end in OF_A_SESSION + OF_BOTH]


@pytest.mark.parametrize(("submitted_with", "end"), CASES, ids=lambda part: getattr(part, "__name__", part))
async def test_a_task_fails_once_what_it_was_submitted_with_has_ended(
    installation: Installation,
    api: httpx.AsyncClient,
    auth: httpx.AsyncClient,
    suite: Suite,
    auth_database: Database,
    register_user: RegisterUser,
    join: Join,
    submitted_with: str,
    end: End,
) -> None:
    owner = await register_user()
    member = await join(owner, "member")
    given = Given(auth, suite, auth_database, owner, member, await make_key(auth, member))
    submitter = await with_key(auth, member, given.key) if submitted_with == "key" else member
    task = await Tasks(api, submitter).submit("echo")

    await end(given)
    async with installation.worker():
        failed = await Tasks(api, owner).wait(task)

    assert (failed["status"], failed["attempt"], failed["dead_letter"]) == ("failed", 1, False)
    assert failed["error"]["code"] == "tasks.authority_ended"


async def test_what_a_key_submitted_outlives_the_session_and_the_other_way_round(
    installation: Installation, api: httpx.AsyncClient, auth: httpx.AsyncClient, register_user: RegisterUser
) -> None:
    user = await register_user()
    key = await make_key(auth, user)
    by_key = await Tasks(api, await with_key(auth, user, key)).submit("echo")
    later = await log_in(auth, user, user.tenant_id)
    by_session = await Tasks(api, later).submit("echo")

    (await auth.post("/api/v1/auth/logout", headers=user.headers)).raise_for_status()
    async with installation.worker():
        done = [await Tasks(api, later).wait(by_key)]
        (await auth.delete(f"{KEYS}/{key['id']}", headers=later.headers)).raise_for_status()
        done.append(await Tasks(api, later).wait(by_session))

    assert [task["status"] for task in done] == ["succeeded"] * 2


async def test_a_task_goes_on_under_the_key_that_replaced_its_own_and_ends_with_that(
    installation: Installation,
    api: httpx.AsyncClient,
    auth: httpx.AsyncClient,
    auth_database: Database,
    register_user: RegisterUser,
) -> None:
    user = await register_user()
    key = await make_key(auth, user)
    by_key, mine = Tasks(api, await with_key(auth, user, key)), Tasks(api, user)
    first = await by_key.submit("test.whoami")
    url = f"{KEYS}/{key['id']}/rotate"
    successor = (await auth.post(url, json={"overlap_seconds": 60}, headers=user.headers)).raise_for_status().json()
    async with auth_database.transaction() as session:
        over = text("UPDATE api_key SET expires_at = now() - interval '1 second' WHERE id = :id")
        await session.execute(over, {"id": key["id"]})

    async with installation.worker():
        done = await mine.wait(first)
    second = await by_key.submit("echo")  # with a token that was given out before
    (await auth.delete(f"{KEYS}/{successor['id']}", headers=user.headers)).raise_for_status()
    async with installation.worker():
        failed = await mine.wait(second)

    assert done["status"] == "succeeded"
    assert failed["error"]["code"] == "tasks.authority_ended"


async def test_a_worker_that_has_a_token_already_hears_of_the_end(
    installation: Installation, api: httpx.AsyncClient, auth: httpx.AsyncClient, register_user: RegisterUser
) -> None:
    user = await register_user()
    key = await make_key(auth, user)
    submitter = await with_key(auth, user, key)
    by_key, mine = Tasks(api, submitter), Tasks(api, user)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()

    async with installation.worker() as worker, installation.database() as database:
        before = await by_key.run("echo")
        task = await by_key.submit("echo", run_at=tomorrow)
        (await auth.delete(f"{KEYS}/{key['id']}", headers=user.headers)).raise_for_status()
        await refused(worker.state.platform.verifier.verify, submitter.token)
        async with database.transaction() as session:
            await session.execute(text("UPDATE task SET run_at = now() WHERE id = :id"), {"id": task["id"]})
        failed = await mine.wait(task)

    assert before["status"] == "succeeded"
    assert failed["error"]["code"] == "tasks.authority_ended"


async def refused(verify: Callable[[str], Awaitable[object]], token: str) -> None:
    """Returns once the token is revoked where `verify` is of; by asking that takes ten seconds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                await verify(token)
            except Unauthenticated:
                return
            await asyncio.sleep(0.05)


async def test_an_auth_that_is_away_is_no_reason_to_fail(installation: Installation, tasks: Tasks) -> None:
    nowhere = {"auth": f"http://127.0.0.1:{free_port()}"}
    task = await tasks.submit("echo", max_attempts=1)

    async with installation.worker(static_services=nowhere):
        await tasks.wait(task, until=lambda read: read["attempt"] >= 2 and read["status"] == "queued")
    async with installation.worker():
        done = await tasks.wait(task)

    assert done["status"] == "succeeded"


async def test_what_a_delegate_submits_ends_with_the_key_that_began_it(
    installation: Installation,
    api: httpx.AsyncClient,
    auth: httpx.AsyncClient,
    suite: Suite,
    register_user: RegisterUser,
) -> None:
    user = await register_user()
    key = await make_key(auth, user)
    body = {"subject": user.user_id, "tenant_id": user.tenant_id, "scopes": SCOPES, "key_id": key["id"]}
    service = await service_headers(auth, suite, "tasks")
    given = await auth.post("/internal/tokens/delegate", json=body, headers=service)
    delegate = replace(user, token=given.raise_for_status().json()["access_token"])
    task = await Tasks(api, delegate).submit("echo")

    (await auth.delete(f"{KEYS}/{key['id']}", headers=user.headers)).raise_for_status()
    async with installation.worker():
        failed = await Tasks(api, user).wait(task)

    assert failed["error"]["code"] == "tasks.authority_ended"


async def test_a_task_of_before_credentials_were_kept_rests_on_its_user(
    installation: Installation, tasks: Tasks, database: Database
) -> None:
    task = await tasks.submit("test.whoami")
    async with database.transaction() as session:
        forget = text("UPDATE task SET key_id = NULL, session_id = NULL WHERE id = :id")
        await session.execute(forget, {"id": task["id"]})

    async with installation.worker():
        done = await tasks.wait(task)

    assert done["result"] == {"user_id": tasks.user.user_id}
