"""API keys: shown once, scoped, revocable."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import event, text

from local.suite import Suite
from shared.postgres import Database
from tests.fixtures.apps import alive, build_app
from tests.fixtures.identity import User, register_with, service_headers
from tests.services.auth.waiting import blocked

KEYS = "/api/v1/auth/api-keys"


async def create(client: httpx.AsyncClient, user: User, **changes: Any) -> httpx.Response:
    body = {"name": "ci", "scopes": ["auth:profile"]} | changes
    return await client.post(KEYS, json=body, headers=user.headers)


async def test_a_key_works_as_its_owner_within_its_scopes(client: httpx.AsyncClient, user: User) -> None:
    key = (await create(client, user)).json()["key"]

    me = await client.get("/api/v1/auth/me", headers={"X-API-Key": key})
    keys = await client.get(KEYS, headers={"X-API-Key": key})

    assert (me.status_code, me.json()["id"]) == (200, user.user_id)
    assert keys.status_code == 403


async def test_a_key_is_shown_once(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    created = (await create(client, user)).json()

    listed = (await client.get(KEYS, headers=user.headers)).json()["items"]

    assert [item["id"] for item in listed] == [created["id"]]
    assert "key" not in listed[0]
    assert created["key"].startswith(listed[0]["prefix"])


async def test_a_revoked_key_is_refused(client: httpx.AsyncClient, suite: Suite) -> None:
    user = await register_with(client)()
    created = (await create(client, user)).json()

    revoked = await client.delete(f"{KEYS}/{created['id']}", headers=user.headers)
    again = await client.delete(f"{KEYS}/{created['id']}", headers=user.headers)

    service = await service_headers(client, suite, "agents")
    exchange = await client.post("/internal/api-keys/exchange", json={"key": created["key"]}, headers=service)
    assert (revoked.status_code, again.status_code, exchange.status_code) == (204, 404, 401)


async def test_another_users_key_is_not_there(client: httpx.AsyncClient, user: User) -> None:
    stranger = await register_with(client)()
    created = (await create(client, user)).json()

    answer = await client.delete(f"{KEYS}/{created['id']}", headers=stranger.headers)

    assert (answer.status_code, answer.json()["code"]) == (404, "auth.api_key_not_found")


async def ends(database: Database, created: dict[str, Any], at: datetime) -> None:
    """Has a key end so soon that a busy machine might not come to make it before."""
    statement = text("UPDATE api_key SET expires_at = :at WHERE id = :id")
    async with database.transaction() as session:
        await session.execute(statement, {"at": at, "id": created["id"]})


async def test_an_expired_key_is_refused(
    client: httpx.AsyncClient, suite: Suite, database: Database, user: User
) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    created = (await create(client, user, expires_at=later)).json()
    service = await service_headers(client, suite, "agents")
    soon = datetime.now(UTC) + timedelta(milliseconds=600)
    await ends(database, created, soon)

    status = 200
    while status == 200:
        answer = await client.post("/internal/api-keys/exchange", json={"key": created["key"]}, headers=service)
        status = answer.status_code

    assert status == 401
    assert datetime.now(UTC) >= soon


async def test_an_expired_key_is_expired_where_it_was_used_before(
    client: httpx.AsyncClient, database: Database, user: User
) -> None:
    """Its token is known to the door and to who exchanged it: neither gets a moment more than the key."""
    let_in: list[datetime] = []
    for seconds in (2, 8, 32):  # for a machine that stands still before it comes to use the key
        created = (await create(client, user, expires_at=in_(3600).isoformat())).json()
        await ends(database, created, ends_at := in_(seconds))
        form = {"grant_type": "client_credentials", "client_id": created["prefix"], "client_secret": created["key"]}
        token = (await client.post("/api/v1/auth/token", data=form)).json().get("access_token", "over")
        both = {"X-API-Key": created["key"]}, {"Authorization": f"Bearer {token}"}
        let_in = [at for headers in both for at in await times_let_in(client, headers)]
        if let_in:
            break

    assert let_in
    assert max(let_in) < ends_at


def in_(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def times_let_in(client: httpx.AsyncClient, headers: dict[str, str]) -> list[datetime]:
    """When the requests were sent that were let in, up to the first that was not."""
    times: list[datetime] = []
    while True:
        asked_at = datetime.now(UTC)
        if (await client.get("/api/v1/auth/me", headers=headers)).status_code == 401:
            return times
        times.append(asked_at)


async def test_a_key_may_come_as_a_bearer_token(client: httpx.AsyncClient, user: User) -> None:
    """The only way in which OpenAI's clients send one."""
    key = (await create(client, user)).json()["key"]

    async def asked(credential: str, **others: str) -> int:
        headers = {"Authorization": f"Bearer {credential}", **others}
        return (await client.get("/api/v1/auth/me", headers=headers)).status_code

    changed = key[:-1] + ("a" if key[-1] != "a" else "b")
    assert (await asked(key), await asked(f" {key}"), await asked(changed)) == (200, 200, 401)
    assert await asked(key, **{"X-API-Key": "nobody's"}) == 200
    assert await asked(changed, **{"X-API-Key": key}) == 401


@pytest.mark.parametrize(
    ("authorization", "key", "status"),
    [
        ("Basic cHJveHk6c2VjcmV0", "the key", 200),
        ("Basic cHJveHk6c2VjcmV0", "nobody's", 401),
        ("Basic cHJveHk6c2VjcmV0", "", 401),
        ("Bearer nobody's", "the key", 401),
        ("Bearer", "the key", 401),
    ],
)
async def test_a_key_beside_a_proxys_credential_is_what_counts_and_a_token_comes_first(
    client: httpx.AsyncClient, user: User, authorization: str, key: str, status: int
) -> None:
    given = (await create(client, user)).json()["key"] if key == "the key" else key

    answer = await client.get("/api/v1/auth/me", headers={"Authorization": authorization, "X-API-Key": given})

    assert answer.status_code == status


@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": ["admin"]},
        {"scopes": []},
        {"scopes": ["Not A Scope"]},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"expires_at": "2999-01-01T00:00:00"},
        {"name": ""},
        {"tenant_id": "x"},
    ],
)
async def test_a_bad_key_request_is_422(client: httpx.AsyncClient, user: User, changes: dict[str, Any]) -> None:
    assert (await create(client, user, **changes)).status_code == 422


async def test_a_mistyped_key_costs_no_query(suite: Suite, user: User) -> None:
    suite.up(["postgres", "redis-cache"])
    app = build_app(suite, "auth")
    async with (
        alive(app) as manager,
        httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://auth") as client,
    ):
        key = (await create(client, user)).json()["key"]
        statements: list[str] = []
        engine = manager._state["local_api_keys"].database.engine.sync_engine
        event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
        answer = await client.get("/api/v1/auth/me", headers={"X-API-Key": key[:-1] + ("a" if key[-1] != "a" else "b")})

    assert answer.status_code == 401
    assert [statement for statement in statements if "api_key" in statement] == []


async def test_pages_hold_every_key_once(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    created = {(await create(client, user, name=f"key {number}")).json()["id"] for number in range(5)}

    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = (
            await client.get(KEYS, params={"limit": 2} | ({"cursor": cursor} if cursor else {}), headers=user.headers)
        ).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert len(seen) == 5
    assert set(seen) == created


async def test_a_cursor_of_somebody_else_is_refused(client: httpx.AsyncClient) -> None:
    user, stranger = await register_with(client)(), await register_with(client)()
    for number in range(2):
        await create(client, user, name=f"key {number}")
    cursor = (await client.get(KEYS, params={"limit": 1}, headers=user.headers)).json()["next_cursor"]

    answer = await client.get(KEYS, params={"cursor": cursor}, headers=stranger.headers)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "query/cursor")


async def test_a_rotated_key_goes_on_through_the_overlap(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    old = (await create(client, user)).json()

    new = (await client.post(f"{KEYS}/{old['id']}/rotate", json={"overlap_seconds": 60}, headers=user.headers)).json()

    listed = {one["id"]: one for one in (await client.get(KEYS, headers=user.headers)).json()["items"]}
    works = [(await client.get("/api/v1/auth/me", headers={"X-API-Key": one["key"]})).status_code for one in (old, new)]
    assert works == [200, 200]
    assert listed[old["id"]]["replaced_by"] == new["id"]
    assert datetime.fromisoformat(listed[old["id"]]["expires_at"]) <= datetime.now(UTC) + timedelta(seconds=60)
    assert new["scopes"] == old["scopes"]


async def test_a_key_rotated_without_overlap_ends_now(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    old = (await create(client, user)).json()
    assert (await client.get("/api/v1/auth/me", headers={"X-API-Key": old["key"]})).status_code == 200

    await client.post(f"{KEYS}/{old['id']}/rotate", json={"overlap_seconds": 0}, headers=user.headers)

    assert (await client.get("/api/v1/auth/me", headers={"X-API-Key": old["key"]})).status_code == 401
    again = await client.post(f"{KEYS}/{old['id']}/rotate", json={}, headers=user.headers)
    assert again.status_code == 404


async def test_a_rotated_key_is_not_rotated_again(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    old = (await create(client, user)).json()
    await client.post(f"{KEYS}/{old['id']}/rotate", json={}, headers=user.headers)

    again = await client.post(f"{KEYS}/{old['id']}/rotate", json={}, headers=user.headers)

    assert (again.status_code, again.json()["code"]) == (409, "auth.api_key_replaced")


async def test_a_revoked_key_is_refused_at_once_though_its_token_is_cached(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    created = (await create(client, user)).json()
    headers = {"X-API-Key": created["key"]}
    assert (await client.get("/api/v1/auth/me", headers=headers)).status_code == 200

    await client.delete(f"{KEYS}/{created['id']}", headers=user.headers)

    assert (await client.get("/api/v1/auth/me", headers=headers)).status_code == 401


async def test_the_last_use_of_keys_costs_one_statement_however_many_requests(suite: Suite, user: User) -> None:
    suite.up(["postgres", "redis-cache"])
    app = build_app(suite, "auth")
    async with (
        alive(app) as manager,
        httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://auth") as client,
    ):
        created = (await create(client, user)).json()
        for _ in range(20):
            await client.get("/api/v1/auth/me", headers={"X-API-Key": created["key"]})
        before = await last_used(client, user, created["id"])
        await manager._state["housekeeping"].round()
        after = await last_used(client, user, created["id"])

    assert before is None
    assert after is not None


async def last_used(client: httpx.AsyncClient, user: User, key_id: str) -> str | None:
    items = (await client.get(KEYS, params={"limit": 100}, headers=user.headers)).json()["items"]
    found: str | None
    (found,) = (item["last_used_at"] for item in items if item["id"] == key_id)
    return found


async def test_no_key_is_made_beside_what_ends_the_session(client: httpx.AsyncClient, database: Database) -> None:
    user = await register_with(client)()
    async with database.transaction() as ending:
        where = {"id": user.user_id}
        await ending.execute(text("UPDATE login_session SET ended_at = now() WHERE user_id = :id"), where)
        await ending.execute(text("SELECT 1 FROM user_account WHERE id = :id FOR UPDATE"), where)
        made = asyncio.create_task(_asked(create(client, user)))
        await blocked(database)

    assert (await made).status_code == 401
    async with database.session() as session:
        keys = await session.scalar(text("SELECT count(*) FROM api_key WHERE user_id = :id"), where)
    assert keys == 0


async def _asked(answer: Awaitable[httpx.Response]) -> httpx.Response:
    return await answer


async def test_logging_out_with_a_key_leaves_the_key(client: httpx.AsyncClient, user: User) -> None:
    """Only revoking ends a key: a logout ends the token that it was exchanged for."""
    body = {"name": "stays", "scopes": ["auth:profile"]}
    made = await client.post("/api/v1/auth/api-keys", json=body, headers=user.headers)
    headers = {"X-API-Key": made.json()["key"]}

    left = await client.post("/api/v1/auth/logout", headers=headers)

    assert left.status_code == 204
    assert (await client.get("/api/v1/auth/me", headers=headers)).status_code == 200
