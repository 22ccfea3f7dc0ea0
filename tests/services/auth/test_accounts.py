"""Registering, and one's own account."""

import asyncio
import secrets

import httpx
import pytest
from sqlalchemy import text

from local.suite import Suite
from shared.postgres import Database
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import User, admin_headers, register_with
from tests.services.auth.waiting import blocked

PASSWORD = "correct horse battery staple"


def new_email() -> str:
    return f"{secrets.token_hex(8)}@example.com"


async def test_register_answers_the_account_without_its_password(client: httpx.AsyncClient) -> None:
    email = new_email()

    answer = await client.post(
        "/api/v1/auth/register", json={"email": email.upper(), "password": PASSWORD, "name": "Ada"}
    )

    assert answer.status_code == 201
    assert answer.json().keys() == {"id", "email", "name", "tenant_id", "created_at"}
    assert answer.json()["email"] == email


async def test_an_address_registers_once_however_it_is_typed_and_nobody_learns_of_it(client: httpx.AsyncClient) -> None:
    email = new_email()
    first = await client.post("/api/v1/auth/register", json={"email": email, "password": PASSWORD})

    again = await client.post("/api/v1/auth/register", json={"email": email.upper(), "password": "another password!"})

    form = {"grant_type": "password", "username": email}
    of_the_first = await client.post("/api/v1/auth/token", data=form | {"password": PASSWORD})
    of_the_second = await client.post("/api/v1/auth/token", data=form | {"password": "another password!"})
    assert (again.status_code, again.json().keys()) == (201, first.json().keys())
    assert (of_the_first.status_code, of_the_second.status_code) == (200, 401)


async def test_an_administrator_is_told_that_an_address_is_taken(client: httpx.AsyncClient, suite: Suite) -> None:
    email = new_email()
    await client.post("/api/v1/auth/register", json={"email": email, "password": PASSWORD})
    admin = await admin_headers(client, suite)

    again = await client.post("/api/v1/auth/register", json={"email": email, "password": PASSWORD}, headers=admin)

    assert (again.status_code, again.json()["code"]) == (409, "auth.email_taken")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Basic cHJveHk6c2VjcmV0"}, 201),
        ({"Authorization": "Bearer nobody's"}, 401),
        ({"X-API-Key": "nobody's"}, 401),
        ({"Authorization": "Basic cHJveHk6c2VjcmV0", "X-API-Key": "nobody's"}, 401),
    ],
)
async def test_a_proxys_credential_is_none_of_ours(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    body = {"email": new_email(), "password": PASSWORD}

    assert (await client.post("/api/v1/auth/register", json=body, headers=headers)).status_code == status


async def test_the_most_common_passwords_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/auth/register", json={"email": new_email(), "password": "Password1"})

    assert (answer.status_code, answer.json()["code"]) == (422, "auth.password_too_common")
    assert answer.json()["errors"][0]["pointer"] == "/password"


@pytest.mark.parametrize(
    "password", ["x1y2z3w4", "p" * 64 + "q" * 64, "пароль из слов", "🙂🙃🙂🙃🙂🙃🙂🙃", " lead and trail "]
)
async def test_a_password_may_be_anything_and_none_of_it_is_cut_off(client: httpx.AsyncClient, password: str) -> None:
    email = new_email()
    await client.post("/api/v1/auth/register", json={"email": email, "password": password})
    form = {"grant_type": "password", "username": email}

    right = await client.post("/api/v1/auth/token", data=form | {"password": password})
    shorter = await client.post("/api/v1/auth/token", data=form | {"password": password[:-1]})

    assert (right.status_code, shorter.status_code) == (200, 401)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"email": "nobody", "password": PASSWORD}, "/email"),
        ({"email": "a@example.com", "password": "short"}, "/password"),
        ({"email": "a@example.com", "password": "x" * 129}, "/password"),
        ({"email": "a@example.com", "password": PASSWORD, "role": "admin"}, "/role"),
        ({"email": "a@example.com", "password": PASSWORD, "name": "\x00"}, "/name"),
        ({"password": PASSWORD}, "/email"),
    ],
)
async def test_a_bad_registration_points_at_the_field(
    client: httpx.AsyncClient, body: dict[str, str], pointer: str
) -> None:
    answer = await client.post("/api/v1/auth/register", json=body)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [problem["pointer"] for problem in answer.json()["errors"]] == [pointer]
    assert PASSWORD not in answer.text


async def test_a_password_of_128_unicode_characters_works_whole(client: httpx.AsyncClient) -> None:
    email, password = new_email(), "ő" * 127
    await client.post("/api/v1/auth/register", json={"email": email, "password": password + "a"})

    form = {"grant_type": "password", "username": email}
    whole = await client.post("/api/v1/auth/token", data=form | {"password": password + "a"})
    other_end = await client.post("/api/v1/auth/token", data=form | {"password": password + "b"})

    assert (whole.status_code, other_end.status_code) == (200, 401)


async def test_me_is_the_caller(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()

    me = await client.get("/api/v1/auth/me", headers=user.headers)

    assert (me.json()["id"], me.json()["tenant_id"]) == (user.user_id, user.tenant_id)


async def test_a_profile_is_changed_only_as_it_was_read(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    tag = (await client.get("/api/v1/auth/me", headers=user.headers)).headers["etag"]
    match = user.headers | {"If-Match": tag}

    first = await client.patch("/api/v1/auth/me", json={"name": "Grace"}, headers=match)
    second = await client.patch("/api/v1/auth/me", json={"name": "Late"}, headers=match)

    assert (first.status_code, first.json()["name"]) == (200, "Grace")
    assert (second.status_code, second.json()["code"]) == (412, "common.precondition_failed")


async def test_of_two_who_read_the_same_profile_one_changes_it(client: httpx.AsyncClient, database: Database) -> None:
    user = await register_with(client)()
    tag = (await client.get("/api/v1/auth/me", headers=user.headers)).headers["etag"]
    async with database.session() as held:
        await held.execute(text("SELECT 1 FROM user_account WHERE id = :id FOR UPDATE"), {"id": user.user_id})
        both = [asyncio.create_task(_renamed(client, user, name, tag)) for name in ("Grace", "Ada")]
        await blocked(database, 2)

    assert sorted([(await one).status_code for one in both]) == [200, 412]


async def _renamed(client: httpx.AsyncClient, user: User, name: str, tag: str) -> httpx.Response:
    return await client.patch("/api/v1/auth/me", json={"name": name}, headers=user.headers | {"If-Match": tag})


async def test_no_credential_is_401_everywhere(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/auth/me")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_database_that_is_away_is_503_naming_it(suite: Suite, service_client: ServiceClient) -> None:
    suite.up(["postgres", "redis-cache"])
    async with service_client("auth") as client:
        user = await register_with(client)()
        suite.stop("postgres")
        try:
            answer = await client.get("/api/v1/auth/me", headers=user.headers)
            ready = await client.get("/health/ready")
        finally:
            suite.start("postgres")
        healed = await client.get("/api/v1/auth/me", headers=user.headers)

    assert (answer.status_code, answer.json()["detail"]) == (503, "postgres is not available right now.")
    assert "retry-after" in answer.headers
    assert (ready.status_code, ready.json()["checks"]["postgres"]["status"]) == (503, "fail")
    assert healed.status_code == 200
