"""S25: an address is proved by the token of a letter before its account acts on others; who proves it has it."""

import asyncio
import hashlib
import secrets
from collections import Counter
from typing import Any

import httpx
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from local.suite import Suite
from services.auth.lifespan import MIGRATIONS
from shared.postgres import Database, open_database
from shared.postgres.migrating import migrate
from tests.fixtures.apps import ServiceClient, alive, build_app
from tests.fixtures.identity import RegisterUser, User, register_with
from tests.fixtures.letters import INVITED, PROVE, TAKEN, VERIFY, Letters, prove, token_in
from tests.fixtures.sources import passed_on_from
from tests.services.auth.tenancy import INVITATIONS, ME, MEMBERS, TOKEN, Join, accept, invite

REGISTER, RESEND, KEYS = (f"/api/v1/auth/{name}" for name in ("register", "verify/resend", "api-keys"))
PASSWORD = "correct horse battery staple"
REFUSED = (422, "auth.proof_refused")


def new_email() -> str:
    return f"{secrets.token_hex(8)}@example.com"


def outcome(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def from_source(number: int) -> dict[str, str]:
    return passed_on_from(f"203.0.113.{number}")


async def register(client: httpx.AsyncClient, email: str, password: str = PASSWORD, **fields: str) -> dict[str, Any]:
    answer = await client.post(REGISTER, json={"email": email, "password": password} | fields)
    return dict(answer.raise_for_status().json())


async def log_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post(TOKEN, data={"grant_type": "password", "username": email, "password": password})


async def me(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await client.get(ME, headers=headers)


async def proof(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post(VERIFY, json={"token": token})


def bearer(answer: httpx.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}


async def age_tokens(database: Database, email: str) -> None:
    """All letters to this address are over."""
    async with database.transaction() as session:
        await session.execute(text("UPDATE mailed_token SET expires_at = now() WHERE email = :email"), {"email": email})


@pytest.fixture
async def newcomer(client: httpx.AsyncClient) -> User:
    return await register_with(client)()


# --- Proved -----------------------------------------------------------------------------------------------------------


async def test_the_token_of_the_letter_proves_the_address(
    client: httpx.AsyncClient, newcomer: User, letters: Letters
) -> None:
    before = (await me(client, newcomer.headers)).json()

    answer = await proof(client, await letters.arrived_token(newcomer.email, PROVE))

    after = (await me(client, newcomer.headers)).json()
    assert (answer.status_code, answer.content) == (204, b"")
    assert (before["email_verified"], after["email_verified"]) == (False, True)


async def test_the_token_is_in_the_letter_and_nowhere_else(
    client: httpx.AsyncClient, letters: Letters, database: Database
) -> None:
    email = new_email()
    answer = await client.post(REGISTER, json={"email": email, "password": PASSWORD})

    token = await letters.arrived_token(email, PROVE)

    async with database.session() as session:
        rows = (await session.execute(text("SELECT * FROM mailed_token WHERE email = :email"), {"email": email})).all()
    assert [row.token_hash for row in rows] == [hashlib.sha256(token.encode()).digest()]
    assert token not in answer.text + str(rows)


async def test_no_name_that_somebody_chose_gets_into_a_letter(client: httpx.AsyncClient, letters: Letters) -> None:
    email = new_email()
    await register(client, email, name="Your parcel waits\r\nBcc: x@example.com")

    assert "parcel" not in (await letters.arrived(email, PROVE)).as_string()


async def test_who_has_proved_nothing_acts_on_nobody_else(
    client: httpx.AsyncClient, newcomer: User, letters: Letters
) -> None:
    async def acts() -> list[httpx.Response]:
        return [
            await invite(client, newcomer, new_email()),
            await client.patch(f"{MEMBERS}/{newcomer.user_id}", json={"role": "owner"}, headers=newcomer.headers),
        ]

    refused = await acts()
    on_oneself = await client.post(KEYS, json={"name": "k", "scopes": ["auth:profile"]}, headers=newcomer.headers)
    await prove(client, letters, newcomer.email)

    assert {outcome(answer) for answer in refused} == {(403, "auth.email_unverified")}
    assert on_oneself.status_code == 201
    assert [answer.status_code for answer in await acts()] == [201, 200]


async def test_used_unknown_and_expired_are_refused_alike(
    client: httpx.AsyncClient, letters: Letters, database: Database
) -> None:
    emails = [new_email() for _ in range(2)]
    for email in emails:
        await register(client, email)
    tokens = [await letters.arrived_token(email, PROVE) for email in emails]
    await proof(client, tokens[0])
    await age_tokens(database, emails[1])

    answers = [await proof(client, token) for token in (*tokens, secrets.token_urlsafe(32), "x")]

    bodies = [{name: value for name, value in answer.json().items() if name != "trace_id"} for answer in answers]
    assert [outcome(answer) for answer in answers] == [REFUSED] * 4
    assert all(body == bodies[0] for body in bodies)


async def test_of_many_at_once_one_proves(client: httpx.AsyncClient, newcomer: User, letters: Letters) -> None:
    token = await letters.arrived_token(newcomer.email, PROVE)

    answers = await asyncio.gather(*(proof(client, token) for _ in range(10)))

    assert Counter(answer.status_code for answer in answers) == {204: 1, 422: 9}


async def test_the_letter_is_sent_again_until_the_address_is_proved(
    suite: Suite, service_client: ServiceClient, letters: Letters
) -> None:
    suite.up(["postgres", "redis"])
    async with service_client("auth") as client:
        newcomer = await register_with(client)()
        await letters.arrived(newcomer.email, PROVE)
        again = await client.post(RESEND, headers=newcomer.headers)
        token = await letters.arrived_token(newcomer.email, PROVE, number=2)
        await proof(client, token)
        late = await client.post(RESEND, headers=newcomer.headers)

    assert [(answer.status_code, answer.content) for answer in (again, late)] == [(202, b"")] * 2
    assert len(letters.to(newcomer.email, PROVE)) == 2


async def test_nobody_can_have_us_flood_a_mailbox(
    suite: Suite, service_client: ServiceClient, letters: Letters
) -> None:
    suite.up(["postgres", "redis"])
    email = new_email()
    async with service_client("auth") as client:
        for number in range(30):
            body = {"email": email, "password": PASSWORD}
            (await client.post(REGISTER, json=body, headers=from_source(number // 10))).raise_for_status()

    assert len(letters.to(email)) == 6


async def test_an_accepted_invitation_proves_the_address(
    client: httpx.AsyncClient, letters: Letters, register_proved: RegisterUser, newcomer: User
) -> None:
    owner, new = await register_proved(), new_email()
    await invite(client, owner, new)
    await accept(client, letters.token(new), PASSWORD)
    await invite(client, owner, newcomer.email)
    await accept(client, letters.token(newcomer.email), newcomer.password)

    of_new = await me(client, bearer(await log_in(client, new)))

    assert of_new.json()["email_verified"]
    assert (await me(client, newcomer.headers)).json()["email_verified"]


async def test_the_first_administrator_has_the_operators_word(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    assert (await me(client, admin)).json()["email_verified"]


async def test_without_mail_nothing_is_proved_and_nobody_is_asked_to(
    suite: Suite, service_client: ServiceClient, letters: Letters, caplog: pytest.LogCaptureFixture
) -> None:
    suite.up(["postgres", "redis"])
    with caplog.at_level("WARNING", logger="auth.letters"):
        async with service_client("auth", mail_url=None, login_before_proof=False) as client:
            user = await register_with(client)()
            profile = (await me(client, user.headers)).json()
            again = await client.post(RESEND, headers=user.headers)

    assert profile["email_verified"]
    assert (again.status_code, "mail" in again.json()["detail"]) == (503, True)
    assert [record.message for record in caplog.records if "addresses are not proved" in record.message]
    assert letters.to(user.email) == []


async def test_the_audit_log_has_it_and_holds_no_address_or_token(
    client: httpx.AsyncClient, newcomer: User, letters: Letters, database: Database
) -> None:
    token = await letters.arrived_token(newcomer.email, PROVE)
    await proof(client, token)

    async with database.session() as session:
        where = {"id": newcomer.user_id}
        rows = (
            await session.execute(text("SELECT * FROM audit_entry WHERE target = :id ORDER BY number"), where)
        ).all()
    assert [row.action for row in rows] == ["user.registered", "email.proved"]
    assert not [secret for secret in (newcomer.email, token) if secret in str(rows)]


# --- Squatters --------------------------------------------------------------------------------------------------------


async def test_who_reads_the_mail_displaces_who_only_typed_the_address(
    client: httpx.AsyncClient, letters: Letters
) -> None:
    squatter = await register_with(client)()
    key = await client.post(KEYS, json={"name": "k", "scopes": ["auth:profile"]}, headers=squatter.headers)
    await letters.arrived(squatter.email, PROVE)

    owner = await register(client, squatter.email, PASSWORD, name="Ada")
    answer = await proof(client, await letters.arrived_token(squatter.email, PROVE, number=2))

    profile = (await me(client, bearer(await log_in(client, squatter.email)))).json()
    refreshing = {"grant_type": "refresh_token", "refresh_token": squatter.refresh_token}
    left = [
        await me(client, squatter.headers),
        await me(client, {"X-API-Key": key.json()["key"]}),
        await client.post(TOKEN, data=refreshing),
        await log_in(client, squatter.email, squatter.password),
    ]
    assert answer.status_code == 204
    assert {name: profile[name] for name in owner} == owner
    assert profile["email_verified"]
    assert profile["tenant_id"] != squatter.tenant_id
    assert [one.status_code for one in left] == [401] * 4


async def test_the_displaced_one_has_no_way_to_the_address_any_more(
    client: httpx.AsyncClient, letters: Letters, admin: dict[str, str]
) -> None:
    squatter = await register_with(client)()
    first = await letters.arrived_token(squatter.email, PROVE)
    await register(client, squatter.email)
    await proof(client, await letters.arrived_token(squatter.email, PROVE, number=2))

    again = await proof(client, first)
    enabled = await client.post(f"/api/v1/auth/users/{squatter.user_id}/enable", headers=admin)

    assert outcome(again) == REFUSED
    assert outcome(enabled) == (409, "auth.user_displaced")
    assert squatter.email not in enabled.text
    assert (await log_in(client, squatter.email, squatter.password)).status_code == 401
    assert (await log_in(client, squatter.email)).status_code == 200


async def test_until_it_is_proved_a_second_registration_changes_nothing(
    client: httpx.AsyncClient, newcomer: User, letters: Letters
) -> None:
    await letters.arrived(newcomer.email, PROVE)
    await register(client, newcomer.email, "another password of its own")
    await letters.arrived(newcomer.email, PROVE, number=2)

    assert (await log_in(client, newcomer.email, "another password of its own")).status_code == 401
    assert (await log_in(client, newcomer.email, newcomer.password)).status_code == 200


async def test_the_owner_of_a_proved_address_hears_that_somebody_tried(
    client: httpx.AsyncClient, register_proved: RegisterUser, letters: Letters, database: Database
) -> None:
    owner = await register_proved()

    await register(client, owner.email, "a password of somebody else")
    letter = await letters.arrived(owner.email, TAKEN)

    async with database.session() as session:
        tokens = await session.scalar(
            text("SELECT count(*) FROM mailed_token WHERE email = :email"), {"email": owner.email}
        )
    assert "password/forgot" in letter.get_content()
    assert tokens == 0
    assert (await log_in(client, owner.email, "a password of somebody else")).status_code == 401


async def test_of_several_registrations_one_has_the_address(client: httpx.AsyncClient, letters: Letters) -> None:
    email, passwords = new_email(), [f"a password of number {number}" for number in range(3)]
    for number, password in enumerate(passwords):
        await register(client, email, password)
        await letters.arrived(email, PROVE, number=number + 1)
    tokens = {token_in(letter) for letter in letters.to(email, PROVE)}

    answers = await asyncio.gather(*(proof(client, token) for token in tokens for _ in range(3)))

    logins = [(await log_in(client, email, password)).status_code for password in passwords]
    assert len(tokens) == 3
    assert Counter(answer.status_code for answer in answers) == {204: 1, 422: 8}
    assert sorted(logins) == [200, 401, 401]


async def test_an_account_that_was_disabled_keeps_its_address(
    suite: Suite, service_client: ServiceClient, letters: Letters, database: Database
) -> None:
    suite.up(["postgres", "redis"])
    async with service_client("auth") as client:
        banned = await register_with(client)()
        token = await letters.arrived_token(banned.email, PROVE)
        async with database.transaction() as session:
            where = {"id": banned.user_id}
            await session.execute(text("UPDATE user_account SET disabled_at = now() WHERE id = :id"), where)
        await register(client, banned.email)
        proved = await proof(client, token)

    assert outcome(proved) == REFUSED
    assert len(letters.to(banned.email)) == 1


async def test_where_logins_wait_for_the_proof_they_tell_nothing_before(
    suite: Suite, service_client: ServiceClient, letters: Letters, register_user: RegisterUser
) -> None:
    suite.up(["postgres", "redis"])
    owner, free = await register_user(), new_email()
    async with service_client("auth", login_before_proof=False) as client:
        for email in (free, owner.email):
            await register(client, email, "a password of somebody else")
        before = [await log_in(client, email, "a password of somebody else") for email in (free, owner.email)]
        await prove(client, letters, free)
        after = await log_in(client, free, "a password of somebody else")

    told = [
        {name: value for name, value in answer.json().items() if name not in {"trace_id", "instance"}}
        for answer in before
    ]
    assert [outcome(answer) for answer in before] == [(401, "auth.wrong_credentials")] * 2
    assert told[0] == told[1]
    assert after.status_code == 200


async def test_an_invitation_is_accepted_where_logins_wait_for_the_proof(
    suite: Suite, service_client: ServiceClient, letters: Letters, register_user: RegisterUser
) -> None:
    suite.up(["postgres", "redis"])
    owner, guest = await register_user(), new_email()
    async with service_client("auth", login_before_proof=False) as client:
        await register(client, guest)
        (await invite(client, owner, guest)).raise_for_status()
        accepted = await accept(client, letters.token(guest, INVITED), PASSWORD)
        login = await log_in(client, guest)

    assert (accepted.status_code, login.status_code) == (200, 200)


async def test_members_are_never_left_by_a_displacement(
    join: Join, client: httpx.AsyncClient, letters: Letters
) -> None:
    """Whoever shares a tenant has proved their address, so nobody can take it from them."""
    owner = await register_with(client)()
    member = await join(owner, "member")

    await register(client, member.email)
    await letters.arrived(member.email, TAKEN)

    listed = (await client.get(MEMBERS, headers=owner.headers)).json()["items"]
    assert {one["email"] for one in listed} == {owner.email, member.email}
    assert (await client.get(INVITATIONS, headers=owner.headers)).status_code == 200


# --- Kept -------------------------------------------------------------------------------------------------------------


async def test_accounts_from_before_count_as_proved(suite: Suite) -> None:
    suite.up(["postgres"])
    name = f"before_{secrets.token_hex(6)}"
    async with open_database(suite.url("postgres"), name, MIGRATIONS) as database:
        async with database.engine.connect() as connection:  # and no transaction: indexes go beside others' work
            await connection.run_sync(downgrade, "0005")
        async with database.engine.begin() as connection:
            for statement in BEFORE:
                await connection.execute(text(statement))
        await migrate(database.engine, MIGRATIONS)
        async with database.session() as session:
            proved = await session.scalar(text("SELECT email_verified_at = created_at FROM user_account"))

    assert proved


BEFORE = (
    "INSERT INTO tenant VALUES ('t', 'T', now())",
    "INSERT INTO user_account (id, tenant_id, email, password_hash, is_admin, version, created_at, updated_at)"
    " VALUES ('u', 't', 'a@example.com', '', false, 1, now(), now())",
)


def downgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


async def test_what_nobody_can_use_any_more_is_deleted(suite: Suite, database: Database, letters: Letters) -> None:
    suite.up(["postgres", "redis"])
    async with alive(build_app(suite, "auth")) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://auth") as client:
            over, good = new_email(), new_email()
            for email in (over, good):
                await register(client, email)
                await letters.arrived(email, PROVE)
        await age_tokens(database, over)
        async with database.transaction() as session:
            await session.execute(text("UPDATE letter_count SET began_at = began_at - interval '2 hours'"))
        await manager._state["housekeeping"].round()

    async with database.session() as session:
        kept = await session.scalars(
            text("SELECT email FROM mailed_token WHERE email IN (:over, :good)"), {"over": over, "good": good}
        )
        counted = await session.scalar(
            text("SELECT count(*) FROM letter_count WHERE began_at < now() - interval '1 hour'")
        )
        assert (list(kept), counted) == ([good], 0)
