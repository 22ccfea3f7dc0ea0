"""What administrators do about users."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.auth.administration.repository import UserRepository
from services.auth.lifespan import MIGRATIONS
from services.auth.people.passwords.throttle import Throttle, by_account
from shared.postgres import Database, open_database
from tests.fixtures.identity import User, admin_headers, register_with
from tests.fixtures.inside import client_of
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.sources import passed_on_from
from tests.services.auth.waiting import blocked

USERS, TOKEN, ME, KEYS = "/api/v1/auth/users", "/api/v1/auth/token", "/api/v1/auth/me", "/api/v1/auth/api-keys"


@pytest.fixture(scope="module")
async def database(suite: Suite) -> AsyncIterator[Database]:
    """auth's own."""
    suite.up(["postgres"])
    async with open_database(suite.url("postgres"), "auth", MIGRATIONS) as database:
        yield database


def password(user: User, **changes: str) -> dict[str, str]:
    return {"grant_type": "password", "username": user.email, "password": user.password} | changes


async def do(client: httpx.AsyncClient, admin: dict[str, str], user: User, action: str) -> dict[str, Any]:
    answer = await client.post(f"{USERS}/{user.user_id}/{action}", headers=admin)
    answer.raise_for_status()
    return answer.json() if answer.content else {}


async def api_key(client: httpx.AsyncClient, user: User, scope: str = "auth:profile") -> dict[str, str]:
    body = {"name": "ci", "scopes": [scope]}
    created = (await client.post(KEYS, json=body, headers=user.headers)).raise_for_status()
    return {"X-API-Key": created.json()["key"]}


async def test_users_are_found_by_how_address_or_name_begins(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    start = secrets.token_hex(8)
    ids = []
    for email, name in ((f"{start}@example.com", None), (f"x{start}@example.com", f"{start.upper()} Lovelace")):
        body = {"email": email, "password": secrets.token_urlsafe(16), "name": name}
        await client.post("/api/v1/auth/register", json=body)
    for q in (start, start.upper(), "%" + start, start[:-1] + "_"):
        answer = await client.get(USERS, params={"q": q}, headers=admin)
        ids.append([item["email"] for item in answer.raise_for_status().json()["items"]])

    both = [f"x{start}@example.com", f"{start}@example.com"]
    assert ids == [both, both, [], []]


async def test_pages_hold_every_user_once(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    made = [(await register_with(client)()).user_id for _ in range(3)]

    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while not set(made) <= set(seen):
        page = (await client.get(USERS, params=params, headers=admin)).json()
        seen += [item["id"] for item in page["items"]]
        params["cursor"] = page["next_cursor"]

    assert seen[:3] == made[::-1]
    assert len(seen) == len(set(seen))


async def test_disabled_users_are_listed_apart(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    user = await register_with(client)()
    await do(client, admin, user, "disable")

    async def is_listed(**filters: Any) -> bool:
        items = (await client.get(USERS, params={"q": user.email} | filters, headers=admin)).json()["items"]
        return bool(items)

    assert [await is_listed(), await is_listed(is_disabled=True), await is_listed(is_disabled=False)] == [
        True,
        True,
        False,
    ]


async def test_a_user_is_read_without_their_password(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    user = await register_with(client)()

    answer = await client.get(f"{USERS}/{user.user_id}", headers=admin)

    assert (answer.status_code, answer.json()["email"], answer.json()["disabled_at"]) == (200, user.email, None)
    assert answer.json().keys() == {
        *("id", "email", "email_verified", "name", "tenant_id", "is_admin", "created_at", "disabled_at")
    }
    assert "etag" in answer.headers


async def test_a_disabled_user_has_nothing_left(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    user = await register_with(client)()
    key = await api_key(client, user)
    assert (await client.get(ME, headers=key)).status_code == 200
    wrong = await client.post(TOKEN, data=password(user, password="wrong password"))

    await do(client, admin, user, "disable")

    login = await client.post(TOKEN, data=password(user))
    refresh = await client.post(TOKEN, data={"grant_type": "refresh_token", "refresh_token": user.refresh_token})
    token, with_key = await client.get(ME, headers=user.headers), await client.get(ME, headers=key)
    bodies = [{**answer.json(), "trace_id": ""} for answer in (wrong, login)]
    assert [answer.status_code for answer in (login, refresh, token, with_key)] == [401] * 4
    assert bodies[0] == bodies[1]


async def test_an_enabled_user_logs_in_again(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    user = await register_with(client)()
    await do(client, admin, user, "disable")

    enabled = await do(client, admin, user, "enable")

    login = await client.post(TOKEN, data=password(user))
    me = await client.get(ME, headers={"Authorization": f"Bearer {login.json()['access_token']}"})
    refresh = await client.post(TOKEN, data={"grant_type": "refresh_token", "refresh_token": user.refresh_token})
    assert (enabled["disabled_at"], login.status_code, me.status_code) == (None, 200, 200)
    assert refresh.status_code == 401  # what ended stays ended


async def test_another_service_refuses_a_disabled_user_within_seconds(suite: Suite, auth: httpx.AsyncClient) -> None:
    suite.up(["chat"])
    user = await register_with(auth)()
    key, admin = await api_key(auth, user, "chat:read"), await admin_headers(auth, suite)
    async with client_of(suite, "chat") as chat:

        async def statuses() -> set[int]:
            both = [await chat.get("/api/v1/chat/conversations", headers=one) for one in (user.headers, key)]
            return {answer.status_code for answer in both}

        before = await statuses()
        await do(auth, admin, user, "disable")
        disabled_at = time.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await statuses() != {401}:
                pass  # each look is two requests
        took = time.monotonic() - disabled_at

    assert before == {200}
    assert took < 30  # a key would be taken for that long in any case, and a token for a quarter of an hour


async def test_a_login_under_way_does_not_outlive_the_user(client: httpx.AsyncClient, database: Database) -> None:
    user = await register_with(client)()
    async with database.session() as session:
        row = await UserRepository(session).get_locked(user.user_id)
        login = asyncio.create_task(client.post(TOKEN, data=password(user)))
        await blocked(database)  # its password was right
        await UserRepository(session).set_disabled(row, datetime.now(UTC))
        await session.commit()

    answer = await login

    assert (answer.status_code, answer.json()["code"]) == (401, "auth.wrong_credentials")


async def test_an_administrator_cannot_disable_themself(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    me = (await client.get(ME, headers=admin)).json()

    answer = await client.post(f"{USERS}/{me['id']}/disable", headers=admin)

    assert (answer.status_code, answer.json()["code"]) == (409, "auth.own_account")


async def test_an_unlocked_user_need_not_wait(
    client: httpx.AsyncClient, admin: dict[str, str], database: Database
) -> None:
    user = await register_with(client)()
    await fail_often(database, user)
    elsewhere = passed_on_from("203.0.113.50")  # they are known where they logged in before
    locked = await client.post(TOKEN, data=password(user), headers=elsewhere)

    await do(client, admin, user, "unlock")

    unlocked = await client.post(TOKEN, data=password(user), headers=elsewhere)
    assert (locked.status_code, unlocked.status_code) == (401, 200)


async def fail_often(database: Database, user: User) -> None:
    """Wrong passwords over some hours, each as soon as it was admitted."""
    async with database.transaction() as session:
        for quarter in range(12):
            at = datetime.now(UTC) + timedelta(minutes=15 * quarter)
            throttle = Throttle(session, lambda at=at: at)  # type: ignore[misc]
            assert (await throttle.admit(by_account(user.email))).is_admitted


async def test_each_change_is_in_the_audit_log_once(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    user = await register_with(client)()
    await client.post(TOKEN, data=password(user, password="wrong password"))
    for action in ("disable", "disable", "enable", "enable", "unlock"):
        await do(client, admin, user, action)

    params = {"target": user.user_id, "action": "user"}
    entries = (await client.get("/api/v1/auth/audit", params=params, headers=admin)).json()["items"]

    me = (await client.get(ME, headers=admin)).json()["id"]
    actions = [(entry["action"], entry["actor"]) for entry in entries[:-1]]
    assert actions == [("user.unlocked", me), ("user.enabled", me), ("user.disabled", me)]
    assert entries[0]["details"] == {"had_failures": True}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/{id}"), ("POST", "/{id}/disable"), ("POST", "/{id}/enable"), ("POST", "/{id}/unlock")],
)
async def test_users_are_for_administrators(
    client: httpx.AsyncClient, user: User, admin: dict[str, str], method: str, path: str
) -> None:
    path = USERS + path.format(id="01890a5d-ac96-774b-bcce-b302099a8057")

    refused = await client.request(method, path, headers=user.headers)
    allowed = await client.request(method, path, headers=admin)

    assert refused.status_code == 403
    assert (allowed.status_code, allowed.json().get("code")) in [(200, None), (404, "auth.user_not_found")]
