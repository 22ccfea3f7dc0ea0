"""S25: another address counts once it is proved, and the old one is told."""

import asyncio
import secrets

import httpx
import pytest
from sqlalchemy import text

from local.suite import Suite
from shared.postgres import Database
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import RegisterUser, User, register_with
from tests.fixtures.letters import FORGOT, MOVE, MOVED, PROVE, VERIFY, Letters, token_in
from tests.services.auth.tenancy import ME, TOKEN
from tests.services.auth.waiting import blocked

EMAIL, REGISTER, FORGOTTEN, RESET, PASSWORD = (
    f"/api/v1/auth/{name}" for name in ("email", "register", "password/forgot", "password/reset", "password")
)


def new_email() -> str:
    return f"{secrets.token_hex(8)}@example.com"


@pytest.fixture
async def owner(register_proved: RegisterUser) -> User:
    return await register_proved()


async def ask(client: httpx.AsyncClient, user: User, email: str, password: str | None = None) -> httpx.Response:
    body = {"email": email, "current_password": password or user.password}
    return await client.post(EMAIL, json=body, headers=user.headers)


async def proof(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post(VERIFY, json={"token": token})


async def address(client: httpx.AsyncClient, user: User) -> tuple[str, bool]:
    me = (await client.get(ME, headers=user.headers)).raise_for_status().json()
    return me["email"], me["email_verified"]


async def log_in(client: httpx.AsyncClient, email: str, password: str) -> int:
    form = {"grant_type": "password", "username": email, "password": password}
    return (await client.post(TOKEN, data=form)).status_code


async def test_the_new_address_counts_once_it_is_proved_and_the_old_one_is_told(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    new = new_email()
    asked = await ask(client, owner, new)
    token = await letters.arrived_token(new, MOVE)
    before = await address(client, owner)

    answer = await proof(client, token)

    assert (asked.status_code, answer.status_code) == (202, 204)
    assert (before, await address(client, owner)) == ((owner.email, True), (new, True))
    assert [await log_in(client, email, owner.password) for email in (owner.email, new)] == [401, 200]
    assert new not in (await letters.arrived(owner.email, MOVED)).get_content()


async def test_a_wrong_password_moves_nothing(client: httpx.AsyncClient, owner: User) -> None:
    answer = await ask(client, owner, new_email(), "wrong password")

    assert (answer.status_code, answer.json()["code"]) == (403, "auth.wrong_current_password")


async def test_nobody_learns_whose_the_new_address_is(
    suite: Suite, service_client: ServiceClient, letters: Letters, register_user: RegisterUser
) -> None:
    suite.up(["postgres", "redis"])
    owner, other = await register_user(), await register_user()
    async with service_client("auth") as client:
        answers = [await ask(client, owner, email) for email in (new_email(), other.email)]

    assert [(answer.status_code, answer.content) for answer in answers] == [(202, b"")] * 2
    assert letters.to(other.email, MOVE) == []


async def test_an_address_that_was_proved_meanwhile_stays(
    client: httpx.AsyncClient, owner: User, register_proved: RegisterUser, letters: Letters
) -> None:
    new = new_email()
    await ask(client, owner, new)
    await ask(client, other := await register_proved(), new)
    await letters.arrived(new, MOVE, number=2)
    tokens = [token_in(letter) for letter in letters.to(new, MOVE)]
    first, second = [await proof(client, token) for token in tokens]

    assert (first.status_code, second.json()["code"]) == (204, "auth.proof_refused")
    assert sorted(one[0] == new for one in [await address(client, owner), await address(client, other)]) == [
        False,
        True,
    ]


async def test_who_never_proved_the_new_address_is_displaced(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    squatter = await register_with(client)()
    await ask(client, owner, squatter.email)

    answer = await proof(client, await letters.arrived_token(squatter.email, MOVE))

    assert answer.status_code == 204
    assert (await client.get(ME, headers=squatter.headers)).status_code == 401
    assert [await log_in(client, squatter.email, one.password) for one in (squatter, owner)] == [401, 200]


async def test_a_mistyped_address_is_left_before_it_is_proved_and_told_nothing(
    suite: Suite, service_client: ServiceClient, letters: Letters
) -> None:
    suite.up(["postgres", "redis"])
    async with service_client("auth") as client:
        mistyped, right = await register_with(client)(), new_email()
        await ask(client, mistyped, right)
        answer = await proof(client, await letters.arrived_token(right, MOVE))
        now = await address(client, mistyped)

    assert (answer.status_code, now) == (204, (right, True))
    assert [letter["Subject"] for letter in letters.to(mistyped.email)] == [PROVE]


async def test_an_address_that_its_holder_left_is_had_by_who_registered_meanwhile(
    client: httpx.AsyncClient, letters: Letters
) -> None:
    holder = await register_with(client)()
    await letters.arrived(holder.email, PROVE)
    await client.post(REGISTER, json={"email": holder.email, "password": "a password of its own"})
    token = await letters.arrived_token(holder.email, PROVE, number=2)
    await ask(client, holder, new := new_email())
    await proof(client, await letters.arrived_token(new, MOVE))

    answer = await proof(client, token)

    assert answer.status_code == 204
    assert await log_in(client, holder.email, "a password of its own") == 200
    assert await address(client, holder) == (new, True)


async def test_what_went_to_the_old_address_leads_nowhere(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    await client.post(FORGOTTEN, json={"email": owner.email})
    way_back = await letters.arrived_token(owner.email, FORGOT)
    await ask(client, owner, new := new_email())
    await proof(client, await letters.arrived_token(new, MOVE))

    answer = await client.post(RESET, json={"token": way_back, "password": "another horse battery staple"})

    assert (answer.status_code, answer.json()["code"]) == (422, "auth.reset_refused")


async def test_moving_to_an_address_and_registering_it_at_once_both_get_an_answer(
    client: httpx.AsyncClient, register_proved: RegisterUser, letters: Letters
) -> None:
    for _ in range(5):
        owner, new = await register_proved(), new_email()
        await ask(client, owner, new)
        token = await letters.arrived_token(new, MOVE)
        body = {"email": new, "password": "a password of its own"}

        proved, registered = await asyncio.gather(proof(client, token), client.post(REGISTER, json=body))

        assert (proved.status_code in (204, 422), registered.status_code) == (True, 201)
        assert proved.status_code == 204 or (await proof(client, token)).status_code == 204


async def test_two_who_want_each_others_unproved_address_both_get_an_answer(
    client: httpx.AsyncClient, letters: Letters
) -> None:
    one, other = [await register_with(client)() for _ in range(2)]
    await ask(client, one, other.email)
    await ask(client, other, one.email)
    tokens = [await letters.arrived_token(user.email, MOVE) for user in (one, other)]

    answers = await asyncio.gather(*(proof(client, token) for token in tokens))

    assert {answer.status_code for answer in answers} <= {204, 422}
    assert 204 in {answer.status_code for answer in answers}


async def test_without_mail_it_says_so(
    suite: Suite, service_client: ServiceClient, register_user: RegisterUser
) -> None:
    suite.up(["postgres", "redis"])
    owner = await register_user()
    async with service_client("auth", mail_url=None) as client:
        answer = await ask(client, owner, new_email())

    assert (answer.status_code, "mail" in answer.json()["detail"]) == (503, True)


async def test_a_change_of_password_ends_what_was_asked_for_with_the_old_one(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    await ask(client, owner, thiefs := new_email())
    token = await letters.arrived_token(thiefs, MOVE)
    body = {"current_password": owner.password, "new_password": "another horse battery staple"}
    changed = await client.post(PASSWORD, json=body, headers=owner.headers)

    answer = await proof(client, token)

    assert (changed.status_code, answer.status_code, answer.json()["code"]) == (204, 422, "auth.proof_refused")
    assert await address(client, owner) == (owner.email, True)


async def test_a_letter_that_waits_while_the_password_is_changed_is_not_sent(
    suite: Suite, service_client: ServiceClient, letters: Letters, database: Database
) -> None:
    suite.up(["postgres", "redis"])
    async with service_client("auth") as client:
        owner, new = await register_with(client)(), new_email()
        async with database.transaction() as session:
            where = {"id": owner.user_id}
            await session.execute(text("SELECT 1 FROM user_account WHERE id = :id FOR UPDATE"), where)
            asked = await ask(client, owner, new)
            await blocked(database)
            await session.execute(
                text("UPDATE user_account SET password_hash = 'reset', version = version + 1 WHERE id = :id"), where
            )

    assert (asked.status_code, letters.to(new)) == (202, [])


async def test_right_passwords_are_not_counted_as_wrong_ones(client: httpx.AsyncClient, owner: User) -> None:
    answers = [await ask(client, owner, new_email()) for _ in range(11)]

    assert {answer.status_code for answer in answers} == {202}
