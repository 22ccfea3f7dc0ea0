"""What ends sessions takes them before the account, as a refresh does: neither can wait for the other in a circle."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from sqlalchemy import TextClause, text

from shared.postgres import Database
from tests.fixtures.identity import RegisterUser, User, register_with
from tests.fixtures.letters import FORGOT, PROVE, VERIFY, Letters
from tests.services.auth.tenancy import Join
from tests.services.auth.waiting import blocked

Headers = dict[str, str]
Ask = Callable[[], Awaitable[httpx.Response]]
Act = Callable[[httpx.AsyncClient, Letters, Headers, User], Awaitable[Ask]]
Given = dict[str, str]
AUTH, PASSWORD = "/api/v1/auth", "another horse battery staple"
HOLD_USER = text("SELECT 1 FROM user_account WHERE id = :id FOR SHARE")
BEGIN_SESSION = text(
    "INSERT INTO login_session (id, user_id, tenant_id, scope, created_at, expires_at)"
    " VALUES (:session, :id, :tenant, '', now(), now() + interval '1 day')"
)
HOLD_MEMBERSHIPS = text("SELECT 1 FROM membership WHERE user_id = :id FOR SHARE")


async def disable(client: httpx.AsyncClient, _letters: Letters, admin: Headers, user: User) -> Ask:
    return lambda: client.post(f"{AUTH}/users/{user.user_id}/disable", headers=admin)


async def change(client: httpx.AsyncClient, _letters: Letters, _admin: Headers, user: User) -> Ask:
    tokens = await client.post(
        f"{AUTH}/token", data={"grant_type": "password", "username": user.email, "password": user.password}
    )
    body = {"current_password": user.password, "new_password": PASSWORD}
    headers = {"Authorization": f"Bearer {tokens.json()['access_token']}"}
    return lambda: client.post(f"{AUTH}/password", json=body, headers=headers)


async def reset(client: httpx.AsyncClient, letters: Letters, _admin: Headers, user: User) -> Ask:
    await client.post(f"{AUTH}/password/forgot", json={"email": user.email})
    body = {"token": await letters.arrived_token(user.email, FORGOT), "password": PASSWORD}
    return lambda: client.post(f"{AUTH}/password/reset", json=body)


async def displace(client: httpx.AsyncClient, letters: Letters, _admin: Headers, user: User) -> Ask:
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

    assert (await asked_beside(database, ending, first, HOLD_USER, {"id": user.user_id})).is_success


async def test_a_key_that_is_exchanged_is_waited_for_by_who_removes_its_owner(
    client: httpx.AsyncClient, database: Database, register_proved: RegisterUser, join: Join
) -> None:
    owner = await register_proved()
    member = await join(owner, "member")

    assert (
        await asked_beside(
            database,
            lambda: client.delete(f"{AUTH}/members/{member.user_id}", headers=owner.headers),
            HOLD_USER,
            HOLD_MEMBERSHIPS,
            {"id": member.user_id},
        )
    ).is_success


async def test_a_key_is_rotated_in_the_order_in_which_a_reset_ends_it(
    client: httpx.AsyncClient, database: Database, register_proved: RegisterUser
) -> None:
    user = await register_proved()
    body = {"name": "k", "scopes": ["auth:profile"]}
    key = (await client.post(f"{AUTH}/api-keys", json=body, headers=user.headers)).json()["id"]
    end_keys = text("UPDATE api_key SET name = name WHERE user_id = :id")

    assert (
        await asked_beside(
            database,
            lambda: client.post(f"{AUTH}/api-keys/{key}/rotate", json={}, headers=user.headers),
            HOLD_USER,
            end_keys,
            {"id": user.user_id},
        )
    ).is_success


async def test_a_login_beside_a_displacement_leaves_no_session(
    client: httpx.AsyncClient, database: Database, letters: Letters, admin: Headers
) -> None:
    user = await register_with(client)()
    displacing = await displace(client, letters, admin, user)
    begun = {"id": user.user_id, "tenant": user.tenant_id, "session": f"begun {user.user_id}"}

    assert (await asked_beside(database, displacing, HOLD_USER, BEGIN_SESSION, begun)).is_success
    async with database.session() as session:
        alive = text("SELECT count(*) FROM login_session WHERE user_id = :id AND ended_at IS NULL")
        assert await session.scalar(alive, begun) == 0


async def test_a_login_beside_a_removal_leaves_no_session_in_the_tenant(
    client: httpx.AsyncClient, database: Database, register_proved: RegisterUser, join: Join
) -> None:
    owner = await register_proved()
    member = await join(owner, "member")
    begun = {"id": member.user_id, "tenant": owner.tenant_id, "session": f"begun {member.user_id}"}

    assert (
        await asked_beside(
            database,
            lambda: client.delete(f"{AUTH}/members/{member.user_id}", headers=owner.headers),
            HOLD_USER,
            BEGIN_SESSION,
            begun,
        )
    ).is_success
    async with database.session() as session:
        ended = text("SELECT ended_at IS NOT NULL FROM login_session WHERE id = :session")
        assert await session.scalar(ended, begun)


async def asked_beside(
    database: Database, ask: Ask, held: TextClause, then: TextClause, given: Given
) -> httpx.Response:
    """The answer to `ask`, which waits for a transaction that had `held` before it, and comes to `then` meanwhile."""
    async with database.transaction() as other:
        await other.execute(held, given)
        task = asyncio.create_task(_asked(ask))
        await blocked(database)
        await other.execute(then, given)
    return await task


async def _asked(ask: Ask) -> httpx.Response:
    return await ask()
