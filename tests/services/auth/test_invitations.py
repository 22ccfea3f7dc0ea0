"""Invitations: sent by mail, accepted once, withdrawn, bounded."""

import asyncio
import hashlib
import secrets
from collections import Counter

import httpx
import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from local.suite import Suite
from services.auth.membership.invitations import service
from services.auth.models import AuditEntry, Invitation
from services.auth.people.tenants.domain import MAX_TENANTS
from shared.postgres import Database
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.commits import commits_lost
from tests.fixtures.forgetting import forget_keys, unclaimed
from tests.fixtures.identity import RegisterUser, User, register_with
from tests.fixtures.letters import Letters, prove
from tests.services.auth.tenancy import INVITATIONS, ME, TOKEN, Join, accept, invite, log_in

PASSWORD = "correct horse battery staple"
REFUSED = (422, "auth.invitation_refused")


def new_email() -> str:
    return f"{secrets.token_hex(8)}@example.com"


def outcome(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
async def owner(register_proved: RegisterUser) -> User:
    return await register_proved()


# --- Sent -------------------------------------------------------------------------------------------------------------


async def test_the_token_is_in_the_letter_and_nowhere_else(
    client: httpx.AsyncClient, owner: User, letters: Letters, database: Database
) -> None:
    email = new_email()

    made = await invite(client, owner, email.upper(), "viewer")

    token = letters.token(email)
    async with database.session() as session:
        row = (await session.execute(select(Invitation).where(Invitation.id == made.json()["id"]))).scalar_one()
    assert made.status_code == 201
    assert made.json().keys() == {"id", "email", "role", "invited_by", "expires_at", "created_at"}
    assert row.token_hash == hashlib.sha256(token.encode()).digest()
    assert token not in made.text + str(vars(row))


async def test_a_letter_says_who_invites_and_what_to_do(
    client: httpx.AsyncClient, owner: User, letters: Letters, suite: Suite
) -> None:
    email = new_email()
    await invite(client, owner, email)

    [letter] = letters.to(email)

    assert letter["From"].addresses[0].addr_spec == suite.environment("auth")["MAIL_FROM"]
    assert owner.email in letter.get_content()
    assert f"{suite.environment('auth')['PUBLIC_URL']}/api/v1/auth/invitations/accept" in letter.get_content()


async def test_no_name_that_somebody_chose_gets_into_a_letter(client: httpx.AsyncClient, letters: Letters) -> None:
    form = {"email": new_email(), "password": PASSWORD, "name": "Your parcel waits\r\nBcc: x@example.com"}
    await client.post("/api/v1/auth/register", json=form)
    await prove(client, letters, form["email"])
    tokens = (
        await client.post(TOKEN, data={"grant_type": "password", "username": form["email"], "password": PASSWORD})
    ).json()
    email = new_email()

    await client.post(
        INVITATIONS,
        json={"email": email, "role": "member"},
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
    )

    assert "parcel" not in letters.to(email)[0].as_string()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"email": "nobody", "role": "member"}, "/email"),
        ({"email": "a@example.com", "role": "admin"}, "/role"),
        ({"email": "a@example.com"}, "/role"),
        ({"email": "a@example.com", "role": "member", "tenant_id": new_id()}, "/tenant_id"),
    ],
)
async def test_a_bad_invitation_points_at_the_field(
    client: httpx.AsyncClient, user: User, body: dict[str, str], pointer: str
) -> None:
    answer = await client.post(INVITATIONS, json=body, headers=user.headers)

    assert answer.status_code == 422
    assert [problem["pointer"] for problem in answer.json()["errors"]] == [pointer]


async def test_who_belongs_already_is_not_invited(client: httpx.AsyncClient, owner: User, join: Join) -> None:
    member = await join(owner, "viewer")

    answer = await invite(client, owner, member.email, "owner")

    assert outcome(answer) == (409, "auth.already_member")


async def test_a_repeated_request_sends_one_letter(client: httpx.AsyncClient, owner: User, letters: Letters) -> None:
    body, headers = {"email": new_email(), "role": "member"}, owner.headers | {"Idempotency-Key": new_id()}

    answers = [await client.post(INVITATIONS, json=body, headers=headers) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert len(letters.to(body["email"])) == 1


async def test_a_repetition_finds_the_invitation_whose_answer_was_lost(
    suite: Suite, client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    body, headers = {"email": new_email(), "role": "member"}, owner.headers | {"Idempotency-Key": new_id()}
    first = await client.post(INVITATIONS, json=body, headers=headers)

    await forget_keys(suite, "auth")
    again = await client.post(INVITATIONS, json=body, headers=headers)
    await forget_keys(suite, "auth")
    other = await client.post(INVITATIONS, json=body | {"role": "viewer"}, headers=headers)

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert outcome(other) == (422, "common.idempotency_key_reused")
    assert len(letters.to(body["email"])) == 1


async def test_an_invitation_behind_a_503_is_found_by_the_repetition(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    body, headers = {"email": new_email(), "role": "member"}, owner.headers | {"Idempotency-Key": new_id()}
    with commits_lost("invitation"):
        refused = await client.post(INVITATIONS, json=body, headers=headers)

    again = await client.post(INVITATIONS, json=body, headers=headers)

    assert (refused.status_code, again.status_code) == (503, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert len(letters.to(body["email"])) == 1


async def test_two_at_once_without_a_claim_make_one_invitation(
    suite: Suite, client: httpx.AsyncClient, owner: User
) -> None:
    body, headers = {"email": new_email(), "role": "member"}, owner.headers | {"Idempotency-Key": new_id()}

    asking = [asyncio.create_task(client.post(INVITATIONS, json=body, headers=headers)) for _ in range(4)]
    answers = await unclaimed(suite, "auth", *asking)

    listed = (await client.get(INVITATIONS, headers=owner.headers)).json()["items"]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [one["email"] for one in listed].count(body["email"]) == 1


@pytest.mark.parametrize(
    "path",
    [
        *("register", "verify", "password/forgot", "password/reset", "invitations/accept", "api-keys"),
        "api-keys/01890a5d-ac96-774b-bcce-b302099a8057/rotate",
    ],
)
async def test_what_cannot_be_repeated_refuses_the_key(client: httpx.AsyncClient, owner: User, path: str) -> None:
    headers = owner.headers | {"Idempotency-Key": new_id()}

    answer = await client.post(f"/api/v1/auth/{path}", json={}, headers=headers)

    assert outcome(answer) == (422, "common.idempotency_key_refused")
    assert answer.json()["errors"][0]["pointer"] == "header/idempotency-key"


async def test_a_tenant_sends_no_more_letters_than_allowed_however_often_it_withdraws(
    client: httpx.AsyncClient, owner: User, database: Database
) -> None:
    made = (await invite(client, owner, new_email())).json()
    await client.delete(f"{INVITATIONS}/{made['id']}", headers=owner.headers)
    async with database.transaction() as session:
        for _ in range(service.MAX_UNANSWERED - 2):
            await copy_of(session, made["id"])

    last, beyond = await invite(client, owner, new_email()), await invite(client, owner, new_email())

    assert last.status_code == 201
    assert outcome(beyond) == (409, "auth.too_many_invitations")


async def copy_of(session: AsyncSession, invitation_id: str) -> None:
    """Another row like it."""
    await session.execute(
        text(
            "INSERT INTO invitation (id, tenant_id, email, role, token_hash, invited_by, created_at, expires_at)"
            " SELECT :id, tenant_id, :id || '@example.com', role, :hash, invited_by, created_at, expires_at"
            " FROM invitation WHERE id = :of"
        ),
        {"id": new_id(), "hash": secrets.token_bytes(32), "of": invitation_id},
    )


async def test_without_a_mail_server_nobody_is_invited_and_the_answer_says_so(
    suite: Suite, service_client: ServiceClient
) -> None:
    suite.up(["postgres", "redis-cache"])
    async with service_client("auth", mail_url=None) as client:
        owner = await register_with(client)()
        answer = await invite(client, owner, new_email())
        listed = await client.get(INVITATIONS, headers=owner.headers)

    assert (answer.status_code, "mail" in answer.json()["detail"]) == (503, True)
    assert "retry-after" in answer.headers
    assert listed.json()["items"] == []


# --- Accepted ---------------------------------------------------------------------------------------------------------


async def test_an_address_without_an_account_gets_one_with_a_tenant_of_its_own_too(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    email = new_email()
    await invite(client, owner, email, "viewer")

    joined = await accept(client, letters.token(email), PASSWORD, name="Ada")

    new = User(joined.json()["user_id"], "", email, PASSWORD, "", "")
    here = (await client.get(ME, headers=(await log_in(client, new, owner.tenant_id)).headers)).json()
    assert joined.json()["tenant"] == {"id": owner.tenant_id, "name": owner.email, "role": "viewer"}
    assert (here["name"], here["role"]) == ("Ada", "viewer")
    assert sorted(tenant["role"] for tenant in here["tenants"]) == ["owner", "viewer"]


async def test_an_existing_account_joins_with_its_own_password(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    guest = await register_with(client)()
    await invite(client, owner, guest.email)

    joined = await accept(client, letters.token(guest.email), guest.password, name="Not me")

    profile = (await client.get(ME, headers=guest.headers)).json()
    assert (joined.status_code, joined.json()["user_id"]) == (200, guest.user_id)
    assert (profile["name"], profile["tenant_id"]) == (None, guest.tenant_id)
    assert {tenant["id"] for tenant in profile["tenants"]} == {guest.tenant_id, owner.tenant_id}


async def test_a_wrong_password_joins_nobody_and_uses_nothing_up(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    guest = await register_with(client)()
    await invite(client, owner, guest.email)
    token = letters.token(guest.email)

    wrong, right = await accept(client, token, "wrong password"), await accept(client, token, guest.password)

    assert outcome(wrong) == (401, "auth.wrong_credentials")
    assert right.status_code == 200


async def test_guessing_passwords_with_an_invitation_is_held_off_like_at_login(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    guest = await register_with(client)()
    await invite(client, owner, guest.email)
    token = letters.token(guest.email)
    for _ in range(10):
        await accept(client, token, "wrong password")

    form = {"grant_type": "password", "username": guest.email, "password": guest.password}
    held_off = [await accept(client, token, guest.password), await client.post(TOKEN, data=form)]

    assert [outcome(answer) for answer in held_off] == [(401, "auth.wrong_credentials")] * 2


async def test_a_disabled_account_joins_nothing(
    client: httpx.AsyncClient, owner: User, letters: Letters, database: Database
) -> None:
    guest = await register_with(client)()
    await invite(client, owner, guest.email)
    async with database.transaction() as session:
        await session.execute(text("UPDATE user_account SET disabled_at = now() WHERE id = :id"), {"id": guest.user_id})

    answer = await accept(client, letters.token(guest.email), guest.password)

    assert outcome(answer) == (401, "auth.wrong_credentials")


@pytest.mark.parametrize("account", ["new", "existing"])
async def test_of_many_parallel_acceptances_exactly_one_succeeds(
    client: httpx.AsyncClient, owner: User, letters: Letters, account: str
) -> None:
    guest = await register_with(client)() if account == "existing" else None
    email, password = (guest.email, guest.password) if guest else (new_email(), PASSWORD)
    await invite(client, owner, email)
    token = letters.token(email)

    answers = await asyncio.gather(*(accept(client, token, password) for _ in range(10)))

    assert Counter(answer.status_code for answer in answers)[200] == 1
    assert {outcome(answer) for answer in answers if answer.status_code != 200} <= {
        REFUSED,
        (401, "auth.wrong_credentials"),  # held off: many attempts at once
    }


async def test_unknown_used_withdrawn_replaced_and_expired_are_refused_alike(
    client: httpx.AsyncClient, owner: User, letters: Letters, database: Database
) -> None:
    emails = [new_email() for _ in range(4)]
    made = [(await invite(client, owner, email)).json() for email in emails]
    tokens = [letters.token(email) for email in emails]
    await accept(client, tokens[0], PASSWORD)
    await client.delete(f"{INVITATIONS}/{made[1]['id']}", headers=owner.headers)
    await invite(client, owner, emails[2])
    async with database.transaction() as session:
        await session.execute(text("UPDATE invitation SET expires_at = now() WHERE id = :id"), {"id": made[3]["id"]})

    answers = [await accept(client, token, PASSWORD) for token in (*tokens, secrets.token_urlsafe(32))]

    bodies = [{name: value for name, value in answer.json().items() if name != "trace_id"} for answer in answers]
    assert [outcome(answer) for answer in answers] == [REFUSED] * 5
    assert all(body == bodies[0] for body in bodies)


async def test_a_common_password_makes_no_account_and_uses_nothing_up(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    email = new_email()
    await invite(client, owner, email)
    token = letters.token(email)

    common, better = await accept(client, token, "password1"), await accept(client, token, PASSWORD)

    assert (outcome(common), common.json()["errors"][0]["pointer"]) == (
        (422, "auth.password_too_common"),
        "/password",
    )
    assert better.status_code == 200


async def test_nobody_belongs_to_more_tenants_than_me_can_list(
    client: httpx.AsyncClient, owner: User, letters: Letters, database: Database
) -> None:
    guest = await register_with(client)()
    await invite(client, owner, guest.email)
    async with database.transaction() as session:
        for _ in range(MAX_TENANTS - 1):
            await add_tenant_of(session, guest)

    answer = await accept(client, letters.token(guest.email), guest.password)

    assert outcome(answer) == (409, "auth.too_many_tenants")


async def add_tenant_of(session: AsyncSession, user: User) -> None:
    values = {"id": new_id(), "user": user.user_id}
    await session.execute(text("INSERT INTO tenant VALUES (:id, 'another', now())"), values)
    await session.execute(text("INSERT INTO membership VALUES (:id, :user, 'viewer', now())"), values)


# --- Listed and withdrawn ---------------------------------------------------------------------------------------------


async def test_pages_hold_every_open_invitation_of_the_tenant_once(
    client: httpx.AsyncClient, owner: User, letters: Letters, register_proved: RegisterUser
) -> None:
    stranger = await register_proved()
    (await invite(client, stranger, new_email())).raise_for_status()
    emails = [new_email() for _ in range(4)]
    for email in (*emails, emails[3]):  # the last one twice: it takes the place of the first
        await invite(client, owner, email)
    await accept(client, letters.token(emails[0]), PASSWORD)

    first = (await client.get(INVITATIONS, params={"limit": 2}, headers=owner.headers)).json()
    rest = (
        await client.get(INVITATIONS, params={"limit": 2, "cursor": first["next_cursor"]}, headers=owner.headers)
    ).json()

    assert [item["email"] for item in first["items"] + rest["items"]] == emails[:0:-1]
    assert rest["next_cursor"] is None


async def test_another_tenants_invitation_is_not_there(
    client: httpx.AsyncClient, owner: User, letters: Letters, register_proved: RegisterUser
) -> None:
    stranger, email = await register_proved(), new_email()
    made = (await invite(client, owner, email)).json()

    answer = await client.delete(f"{INVITATIONS}/{made['id']}", headers=stranger.headers)

    assert outcome(answer) == (404, "auth.invitation_not_found")
    assert (await accept(client, letters.token(email), PASSWORD)).status_code == 200


async def test_an_invitation_is_withdrawn_once(client: httpx.AsyncClient, owner: User) -> None:
    made = (await invite(client, owner, new_email())).json()

    answers = [await client.delete(f"{INVITATIONS}/{made['id']}", headers=owner.headers) for _ in range(2)]

    assert answers[0].status_code == 204
    assert outcome(answers[1]) == (404, "auth.invitation_not_found")


# --- Noted ------------------------------------------------------------------------------------------------------------


async def test_the_audit_log_says_who_did_what_and_holds_no_address_or_token(
    client: httpx.AsyncClient, owner: User, letters: Letters, database: Database
) -> None:
    emails = [new_email() for _ in range(2)]
    made = [(await invite(client, owner, email)).json() for email in emails]
    joined = (await accept(client, letters.token(emails[0]), PASSWORD)).json()
    await client.delete(f"{INVITATIONS}/{made[1]['id']}", headers=owner.headers)
    await client.patch(f"/api/v1/auth/members/{joined['user_id']}", json={"role": "owner"}, headers=owner.headers)
    await client.delete(f"/api/v1/auth/members/{joined['user_id']}", headers=owner.headers)

    async with database.session() as session:
        entries = (
            await session.scalars(
                select(AuditEntry).where(AuditEntry.tenant_id == owner.tenant_id).order_by(AuditEntry.number)
            )
        ).all()
    noted = [(entry.action, entry.actor, entry.target) for entry in entries[3:]]  # registered, logged in, proved before
    assert noted == [
        ("invitation.created", owner.user_id, made[0]["id"]),
        ("invitation.created", owner.user_id, made[1]["id"]),
        ("invitation.accepted", joined["user_id"], made[0]["id"]),
        ("invitation.withdrawn", owner.user_id, made[1]["id"]),
        ("member.role_changed", owner.user_id, joined["user_id"]),
        ("member.removed", owner.user_id, joined["user_id"]),
    ]
    everything = str([vars(entry) for entry in entries])
    assert not [secret for secret in (*emails, letters.token(emails[0])) if secret in everything]


async def test_an_offer_of_who_was_disabled_is_refused(
    client: httpx.AsyncClient, owner: User, letters: Letters, admin: dict[str, str]
) -> None:
    await invite(client, owner, email := new_email(), "owner")
    disabled = await client.post(f"/api/v1/auth/users/{owner.user_id}/disable", headers=admin)

    answer = await accept(client, letters.token(email), PASSWORD)

    assert (disabled.status_code, outcome(answer)) == (200, REFUSED)
