"""A user has a bound of sessions: the longest unused gives way, so that a change of password ends what there is."""

import importlib

import httpx
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from services.auth.entry.sessions.repository import MOST_ALIVE
from shared.postgres import Database
from tests.fixtures.identity import RegisterUser, User
from tests.services.auth.auditing import noted

Headers = dict[str, str]
AUTH = "/api/v1/auth"
BEGIN = text("""
    WITH made AS (
        INSERT INTO login_session (id, user_id, tenant_id, scope, created_at, expires_at)
        SELECT gen_random_uuid(), :user_id, :tenant_id, '', now(), now() + interval '1 day'
        FROM generate_series(1, :number) RETURNING id
    )
    INSERT INTO refresh_token (id, session_id, token_hash, created_at)
    SELECT gen_random_uuid(), id, sha256(id::bytea), now() + make_interval(secs => :later) FROM made
""")
ALIVE = text("SELECT count(*) FROM login_session WHERE user_id = :user_id AND ended_at IS NULL")
ENDED = text("SELECT id FROM login_session WHERE user_id = :user_id AND ended_at IS NOT NULL")
HOLD_ALL = text("SELECT 1 FROM login_session WHERE user_id = :user_id FOR SHARE")


async def begin(database: Database, user: User, number: int, *, used_later_by: int) -> None:
    """So many sessions, used at so many seconds from now."""
    given = {"user_id": user.user_id, "tenant_id": user.tenant_id, "number": number, "later": used_later_by}
    async with database.transaction() as session:
        await session.execute(BEGIN, given)


async def alive(database: Database, user: User) -> int:
    async with database.session() as session:
        return int(await session.scalar(ALIVE, {"user_id": user.user_id}) or 0)


async def log_in(client: httpx.AsyncClient, user: User) -> Headers:
    body = {"grant_type": "password", "username": user.email, "password": user.password}
    token = (await client.post(f"{AUTH}/token", data=body)).raise_for_status().json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


async def test_the_longest_unused_gives_way_to_a_login(
    client: httpx.AsyncClient, database: Database, admin: Headers, register_proved: RegisterUser
) -> None:
    user = await register_proved()
    await begin(database, user, MOST_ALIVE - 1, used_later_by=60)

    new = await log_in(client, user)

    assert (await client.get(f"{AUTH}/me", headers=new)).status_code == 200
    assert (await client.get(f"{AUTH}/me", headers=user.headers)).status_code == 401
    assert await alive(database, user) == MOST_ALIVE
    async with database.session() as session:
        (ended,) = (await session.scalars(ENDED, {"user_id": user.user_id})).all()
    assert [one["actor"] for one in await noted(client, admin, action="session.ended", target=ended)] == [user.user_id]


async def test_what_began_first_and_is_in_use_stays(
    client: httpx.AsyncClient, database: Database, register_proved: RegisterUser
) -> None:
    user = await register_proved()
    await begin(database, user, MOST_ALIVE + 5, used_later_by=-3600)

    await log_in(client, user)

    assert (await client.get(f"{AUTH}/me", headers=user.headers)).status_code == 200
    assert await alive(database, user) == MOST_ALIVE


async def test_a_login_waits_for_none_that_is_held(
    client: httpx.AsyncClient, database: Database, register_proved: RegisterUser
) -> None:
    user = await register_proved()
    await begin(database, user, MOST_ALIVE - 1, used_later_by=0)
    async with database.transaction() as refreshing:
        await refreshing.execute(HOLD_ALL, {"user_id": user.user_id})

        await log_in(client, user)

    assert await alive(database, user) == MOST_ALIVE + 1
    await log_in(client, user)
    assert await alive(database, user) == MOST_ALIVE


async def test_an_upgrade_ends_what_is_beyond_the_bound(
    client: httpx.AsyncClient, database: Database, register_proved: RegisterUser
) -> None:
    user, other = await register_proved(), await register_proved()
    await begin(database, user, MOST_ALIVE + 20, used_later_by=-3600)

    async with database.engine.begin() as connection:
        await connection.run_sync(upgrade)

    assert await alive(database, user) == MOST_ALIVE
    assert [(await client.get(f"{AUTH}/me", headers=one.headers)).status_code for one in (user, other)] == [200, 200]
    assert (await client.post(f"{AUTH}/token", data=refresh(user))).status_code == 200


def upgrade(connection: Connection) -> None:
    migration = importlib.import_module("services.auth.migrations.versions.0009_surplus")
    with Operations.context(MigrationContext.configure(connection)):
        migration.upgrade()


def refresh(user: User) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": user.refresh_token}


async def test_a_change_of_password_ends_them_all(
    client: httpx.AsyncClient, database: Database, register_proved: RegisterUser
) -> None:
    user = await register_proved()
    await begin(database, user, MOST_ALIVE, used_later_by=0)
    body = {"current_password": user.password, "new_password": "another horse battery staple"}

    changed = await client.post(f"{AUTH}/password", json=body, headers=user.headers)

    assert changed.status_code == 204, changed.text
    assert await alive(database, user) == 1
