"""What ends sessions takes them before the account, as a refresh does: neither can wait for the other in a circle."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from sqlalchemy import text

from shared.postgres import Database
from tests.fixtures.identity import RegisterUser, User, register_with
from tests.fixtures.letters import FORGOT, PROVE, VERIFY, Letters
from tests.services.auth.tenancy import Join
from tests.services.auth.waiting import blocked

Headers = dict[str, str]
Act = Callable[[httpx.AsyncClient, Letters, Headers, User], Awaitable[Callable[[], Awaitable[httpx.Response]]]]
AUTH, PASSWORD = "/api/v1/auth", "another horse battery staple"
HOLD_USER = text("SELECT 1 FROM user_account WHERE id = :id FOR SHARE")
BEGIN_SESSION = text(
    "INSERT INTO login_session (id, user_id, tenant_id, scope, created_at, expires_at)"
    " VALUES (:session, :id, :tenant, '', now(), now() + interval '1 day')"
)
HOLD_MEMBERSHIPS = text("SELECT 1 FROM membership WHERE user_id = :id FOR SHARE")


async def disable(
    client: httpx.AsyncClient, _letters: Letters, admin: Headers, user: User
) -> Callable[[], Awaitable[httpx.Response]]:
    return lambda: client.post(f"{AUTH}/users/{user.user_id}/disable", headers=admin)


async def change(
    client: httpx.AsyncClient, _letters: Letters, _admin: Headers, user: User
) -> Callable[[], Awaitable[httpx.Response]]:
    tokens = await client.post(
        f"{AUTH}/token", data={"grant_type": "password", "username": user.email, "password": user.password}
    )
    body = {"current_password": user.password, "new_password": PASSWORD}
    headers = {"Authorization": f"Bearer {tokens.json()['access_token']}"}
    return lambda: client.post(f"{AUTH}/password", json=body, headers=headers)


async def reset(
    client: httpx.AsyncClient, letters: Letters, _admin: Headers, user: User
) -> Callable[[], Awaitable[httpx.Response]]:
    await client.post(f"{AUTH}/password/forgot", json={"email": user.email})
    body = {"token": await letters.arrived_token(user.email, FORGOT), "password": PASSWORD}
    return lambda: client.post(f"{AUTH}/password/reset", json=body)


async def displace(
    client: httpx.AsyncClient, letters: Letters, _admin: Headers, user: User
) -> Callable[[], Awaitable[httpx.Response]]:
    await letters.arrived(user.email, PROVE)
    await client.post(f"{AUTH}/register", json={"email": user.email, "password": PASSWORD})
    token = await letters.arrived_token(user.email, PROVE, number=2)
    return lambda: client.post(VERIFY, json={"token": token})


@pytest.mark.parametrize("act", [disable, change, reset, displace])
async def test_a_refresh_under_way_is_waited_for(
    client: httpx.AsyncClient,
    database: Database,
    letters: Letters,
    admin: Headers,
    register_proved: RegisterUser,
    act: Act,
) -> None:
    user = await (register_with(client) if act is displace else register_proved)()
    ending = await act(client, letters, admin, user)
    first = text("SELECT id FROM login_session WHERE user_id = :id ORDER BY created_at LIMIT 1 FOR SHARE")
    async with database.session() as refreshing:
        await refreshing.execute(first, {"id": user.user_id})
        task = asyncio.create_task(_asked(ending))
        await blocked(database)
        await refreshing.execute(text("SELECT 1 FROM user_account WHERE id = :id FOR SHARE"), {"id": user.user_id})
        await refreshing.rollback()

    assert (await task).is_success


async def test_a_key_that_is_exchanged_is_waited_for_by_who_removes_its_owner(
    client: httpx.AsyncClient, database: Database, register_proved: RegisterUser, join: Join
) -> None:
    owner = await register_proved()
    member = await join(owner, "member")
    async with database.session() as exchanging:
        await exchanging.execute(HOLD_USER, {"id": member.user_id})
        task = asyncio.create_task(
            _asked(lambda: client.delete(f"{AUTH}/members/{member.user_id}", headers=owner.headers))
        )
        await blocked(database)
        await exchanging.execute(HOLD_MEMBERSHIPS, {"id": member.user_id})
        await exchanging.rollback()

    assert (await task).is_success


async def test_a_key_is_rotated_in_the_order_in_which_a_reset_ends_it(
    client: httpx.AsyncClient, database: Database, register_proved: RegisterUser
) -> None:
    user = await register_proved()
    body = {"name": "k", "scopes": ["auth:profile"]}
    key = (await client.post(f"{AUTH}/api-keys", json=body, headers=user.headers)).json()["id"]
    async with database.session() as resetting:
        await resetting.execute(HOLD_USER, {"id": user.user_id})
        task = asyncio.create_task(
            _asked(lambda: client.post(f"{AUTH}/api-keys/{key}/rotate", json={}, headers=user.headers))
        )
        await blocked(database)
        await resetting.execute(text("UPDATE api_key SET name = name WHERE user_id = :id"), {"id": user.user_id})
        await resetting.rollback()

    assert (await task).is_success


async def test_a_login_beside_a_displacement_leaves_no_session(
    client: httpx.AsyncClient, database: Database, letters: Letters, admin: Headers
) -> None:
    user = await register_with(client)()
    displacing = await displace(client, letters, admin, user)
    begun = {"id": user.user_id, "tenant": user.tenant_id, "session": f"begun {user.user_id}"}
    async with database.transaction() as logging_in:
        await logging_in.execute(HOLD_USER, begun)
        task = asyncio.create_task(_asked(displacing))
        await blocked(database)
        await logging_in.execute(BEGIN_SESSION, begun)

    assert (await task).is_success
    async with database.session() as session:
        alive = text("SELECT count(*) FROM login_session WHERE user_id = :id AND ended_at IS NULL")
        assert await session.scalar(alive, begun) == 0


async def test_a_login_beside_a_removal_leaves_no_session_in_the_tenant(
    client: httpx.AsyncClient, database: Database, register_proved: RegisterUser, join: Join
) -> None:
    owner = await register_proved()
    member = await join(owner, "member")
    begun = {"id": member.user_id, "tenant": owner.tenant_id, "session": f"begun {member.user_id}"}
    async with database.transaction() as logging_in:
        await logging_in.execute(HOLD_USER, begun)
        task = asyncio.create_task(
            _asked(lambda: client.delete(f"{AUTH}/members/{member.user_id}", headers=owner.headers))
        )
        await blocked(database)
        await logging_in.execute(BEGIN_SESSION, begun)

    assert (await task).is_success
    async with database.session() as session:
        ended = text("SELECT ended_at IS NOT NULL FROM login_session WHERE id = :session")
        assert await session.scalar(ended, begun)


async def _asked(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    return await ask()
