"""S25: who forgot their password has a way back, by the mail of an address that they have proved."""

import asyncio
import hashlib
import secrets
from collections import Counter

import httpx
import pytest
from sqlalchemy import text

from local.suite import Suite
from shared.postgres import Database
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import RegisterUser, User, register_with
from tests.fixtures.letters import FORGOT, PASSWORD, Letters
from tests.fixtures.sources import passed_on_from
from tests.services.auth.tenancy import ME, TOKEN
from tests.services.auth.waiting import blocked

FORGOTTEN, RESET, KEYS = (f"/api/v1/auth/{name}" for name in ("password/forgot", "password/reset", "api-keys"))
NEW = "another horse battery staple"
REFUSED = (422, "auth.reset_refused")


@pytest.fixture
async def owner(register_proved: RegisterUser) -> User:
    return await register_proved()


def outcome(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def forgot(client: httpx.AsyncClient, email: str) -> httpx.Response:
    return await client.post(FORGOTTEN, json={"email": email})


async def token_for(client: httpx.AsyncClient, letters: Letters, user: User) -> str:
    known = len(letters.to(user.email, FORGOT))
    (await forgot(client, user.email)).raise_for_status()
    return await letters.arrived_token(user.email, FORGOT, number=known + 1)


async def reset(client: httpx.AsyncClient, token: str, password: str = NEW, **fields: bool) -> httpx.Response:
    return await client.post(RESET, json={"token": token, "password": password} | fields)


async def log_in(client: httpx.AsyncClient, email: str, password: str) -> httpx.Response:
    return await client.post(TOKEN, data={"grant_type": "password", "username": email, "password": password})


async def api_key(client: httpx.AsyncClient, user: User) -> dict[str, str]:
    body = {"name": "k", "scopes": ["auth:profile"]}
    return {"X-API-Key": (await client.post(KEYS, json=body, headers=user.headers)).raise_for_status().json()["key"]}


async def test_the_token_of_the_letter_chooses_another_password(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    answer = await reset(client, await token_for(client, letters, owner))

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await log_in(client, owner.email, owner.password)).status_code == 401
    assert (await log_in(client, owner.email, NEW)).status_code == 200


async def test_it_ends_every_session_and_keeps_the_keys(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    key = await api_key(client, owner)

    await reset(client, await token_for(client, letters, owner))

    form = {"grant_type": "refresh_token", "refresh_token": owner.refresh_token}
    refreshed, by_token = await client.post(TOKEN, data=form), await client.get(ME, headers=owner.headers)
    assert (refreshed.status_code, by_token.status_code) == (401, 401)
    assert (await client.get(ME, headers=key)).status_code == 200


async def test_it_ends_the_keys_too_where_that_is_asked_for(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    key = await api_key(client, owner)

    await reset(client, await token_for(client, letters, owner), revoke_api_keys=True)

    assert (await client.get(ME, headers=key)).status_code == 401


async def test_keys_that_have_expired_are_left_however_many_there_are(
    client: httpx.AsyncClient, owner: User, letters: Letters, database: Database
) -> None:
    await api_key(client, owner)
    expired = text(
        "INSERT INTO api_key (id, tenant_id, user_id, name, public_id, secret_hash, scopes, created_at, expires_at)"
        " SELECT id, :tenant, :user, 'k', id, '', '{}', now(),"
        " now() - CASE WHEN number = 1 THEN interval '1 second' ELSE interval '1 hour' END"
        " FROM generate_series(1, 500) AS number, LATERAL (SELECT gen_random_uuid()::text || number AS id) AS named"
    )
    given = {"tenant": owner.tenant_id, "user": owner.user_id}
    async with database.transaction() as session:
        await session.execute(expired, given)

    await reset(client, await token_for(client, letters, owner), revoke_api_keys=True)

    async with database.session() as session:
        revoked = text("SELECT count(*) FROM api_key WHERE user_id = :user AND revoked_at IS NOT NULL")
        # That of above, and what a replica whose clock is behind takes to be alive.
        assert await session.scalar(revoked, given) == 2


async def test_it_ends_the_wait_that_wrong_passwords_brought(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    for _ in range(10):
        await log_in(client, owner.email, "wrong password")
    assert (await log_in(client, owner.email, owner.password)).status_code == 401

    await reset(client, await token_for(client, letters, owner))

    assert (await log_in(client, owner.email, NEW)).status_code == 200


async def test_used_unknown_older_and_expired_are_refused_alike(
    client: httpx.AsyncClient, owner: User, register_proved: RegisterUser, letters: Letters, database: Database
) -> None:
    other = await register_proved()
    older, used = await token_for(client, letters, owner), await token_for(client, letters, owner)
    expired = await token_for(client, letters, other)
    await reset(client, used)
    async with database.transaction() as session:
        where = {"email": other.email}
        await session.execute(text("UPDATE mailed_token SET expires_at = now() WHERE email = :email"), where)

    answers = [await reset(client, token, "yet another one") for token in (used, older, expired, secrets.token_hex(21))]

    bodies = [{name: value for name, value in answer.json().items() if name != "trace_id"} for answer in answers]
    assert [outcome(answer) for answer in answers] == [REFUSED] * 4
    assert all(body == bodies[0] for body in bodies)
    assert (await log_in(client, other.email, other.password)).status_code == 200


async def test_a_token_proves_nothing_else(client: httpx.AsyncClient, owner: User, letters: Letters) -> None:
    token = await token_for(client, letters, owner)

    answer = await client.post("/api/v1/auth/verify", json={"token": token})

    assert outcome(answer) == (422, "auth.proof_refused")
    assert (await reset(client, token)).status_code == 204


async def test_of_many_at_once_one_succeeds(client: httpx.AsyncClient, owner: User, letters: Letters) -> None:
    tokens = [await token_for(client, letters, owner) for _ in range(2)]
    passwords = [f"a password of number {number}" for number in range(8)]

    answers = await asyncio.gather(
        *(reset(client, tokens[number % 2], password) for number, password in enumerate(passwords))
    )

    logins = [(await log_in(client, owner.email, password)).status_code for password in passwords]
    assert Counter(answer.status_code for answer in answers) == {204: 1, 422: 7}
    assert [answer.status_code for answer in answers].index(204) == logins.index(200)


async def test_a_reset_and_a_change_at_once_both_get_an_answer(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    token = await token_for(client, letters, owner)
    body = {"current_password": owner.password, "new_password": "the password that was changed"}

    answers = await asyncio.gather(
        reset(client, token),
        *(client.post("/api/v1/auth/password", json=body, headers=owner.headers) for _ in range(4)),
    )

    assert answers[0].status_code == 204
    assert {answer.status_code for answer in answers[1:]} <= {204, 401, 403}


async def test_a_login_under_way_with_the_old_password_does_not_outlive_it(
    client: httpx.AsyncClient, owner: User, database: Database
) -> None:
    change = text("UPDATE user_account SET password_hash = 'another', version = version + 1 WHERE id = :id")
    async with database.transaction() as session:
        where = {"id": owner.user_id}
        await session.execute(text("SELECT 1 FROM user_account WHERE id = :id FOR UPDATE"), where)
        login = asyncio.create_task(log_in(client, owner.email, owner.password))
        await blocked(database)
        await session.execute(change, where)

    assert (await login).status_code == 401


async def test_a_change_under_way_with_the_old_password_does_not_undo_a_reset(
    client: httpx.AsyncClient, owner: User, database: Database
) -> None:
    body = {"current_password": owner.password, "new_password": "a thief's own password"}
    async with database.transaction() as session:
        where = {"id": owner.user_id}
        await session.execute(text("SELECT 1 FROM user_account WHERE id = :id FOR UPDATE"), where)
        change = asyncio.create_task(_changed(client, owner, body))
        await blocked(database)
        await session.execute(
            text("UPDATE user_account SET password_hash = 'reset', version = version + 1 WHERE id = :id"), where
        )

    assert outcome(await change) == (403, "auth.wrong_current_password")
    async with database.session() as session:
        kept = await session.scalar(text("SELECT password_hash FROM user_account WHERE id = :id"), where)
    assert kept == "reset"


async def _changed(client: httpx.AsyncClient, user: User, body: dict[str, str]) -> httpx.Response:
    return await client.post("/api/v1/auth/password", json=body, headers=user.headers)


async def test_a_common_password_is_refused_and_uses_nothing_up(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    token = await token_for(client, letters, owner)

    common = await reset(client, token, "password1")

    assert (outcome(common), common.json()["errors"][0]["pointer"]) == ((422, "auth.password_too_common"), "/password")
    assert (await reset(client, token)).status_code == 204


async def test_the_token_is_in_the_letter_and_nowhere_else(
    client: httpx.AsyncClient, owner: User, letters: Letters, database: Database
) -> None:
    token = await token_for(client, letters, owner)
    (await reset(client, token)).raise_for_status()
    other = await token_for(client, letters, owner)

    async with database.session() as session:
        where = {"email": owner.email, "id": owner.user_id}
        [row] = (await session.execute(text("SELECT * FROM mailed_token WHERE email = :email"), where)).all()
        noted = (
            await session.execute(text("SELECT * FROM audit_entry WHERE target = :id ORDER BY number"), where)
        ).all()
    assert row.token_hash == hashlib.sha256(other.encode()).digest()
    assert not [secret for secret in (owner.email, token, other) if secret in str(noted)]
    assert [entry.action for entry in noted][-3:] == ["password.forgotten", "password.reset", "password.forgotten"]


async def test_the_owner_is_told_that_it_was_changed(client: httpx.AsyncClient, owner: User, letters: Letters) -> None:
    await reset(client, await token_for(client, letters, owner))

    assert owner.email in (await letters.arrived(owner.email, PASSWORD)).get_content()


async def test_nobody_else_gets_a_letter_and_all_get_the_same_answer(
    suite: Suite, service_client: ServiceClient, letters: Letters, database: Database, register_user: RegisterUser
) -> None:
    suite.up(["postgres", "redis"])
    proved, disabled = await register_user(), await register_user()
    async with database.transaction() as session:
        where = {"id": disabled.user_id}
        await session.execute(text("UPDATE user_account SET disabled_at = now() WHERE id = :id"), where)
    async with service_client("auth") as client:
        unproved = await register_with(client)()
        emails = [proved.email, disabled.email, unproved.email, f"{secrets.token_hex(8)}@example.com"]
        answers = [await forgot(client, email) for email in emails]

    assert [(answer.status_code, answer.content) for answer in answers] == [(202, b"")] * 4
    assert [len(letters.to(email, FORGOT)) for email in emails] == [1, 0, 0, 0]


async def test_nobody_can_have_us_flood_a_mailbox(
    suite: Suite, service_client: ServiceClient, letters: Letters, register_user: RegisterUser
) -> None:
    suite.up(["postgres", "redis"])
    owner = await register_user()
    async with service_client("auth") as client:
        for number in range(30):
            headers = passed_on_from(f"203.0.113.{number // 10}")
            (await client.post(FORGOTTEN, json={"email": owner.email}, headers=headers)).raise_for_status()

    assert len(letters.to(owner.email, FORGOT)) == 6


async def test_without_mail_it_says_so_to_everybody(suite: Suite, service_client: ServiceClient, user: User) -> None:
    suite.up(["postgres", "redis"])
    async with service_client("auth", mail_url=None) as client:
        answers = [await forgot(client, email) for email in (user.email, f"{secrets.token_hex(8)}@example.com")]

    assert [(answer.status_code, "mail" in answer.json()["detail"]) for answer in answers] == [(503, True)] * 2
