"""S26: what registers logs in, in whatever form the address and the password are typed."""

import secrets
import unicodedata

import httpx
import pytest

from local.suite import Suite
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.letters import Letters
from tests.services.auth.tenancy import INVITATIONS, MEMBERS, TOKEN, accept, invite

REGISTER, PASSWORD_CHANGE, USERS = (f"/api/v1/auth/{name}" for name in ("register", "password", "users"))
PASSWORD = "correct horse battery staple"


@pytest.fixture
def spellings() -> dict[str, str]:
    """Of one new address."""
    local_part = f"jürgen-{secrets.token_hex(6)}"
    nfc = f"{local_part}@bücher.example.com"
    return {
        "nfc": nfc,
        "nfd": unicodedata.normalize("NFD", nfc),
        "xn": f"{local_part}@xn--bcher-kva.example.com",
        "host in capitals": f"{local_part}@BÜCHER.Example.COM",
        "all in capitals": nfc.upper(),
    }


async def register(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post(REGISTER, json={"email": email, "password": password})


async def log_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post(TOKEN, data={"grant_type": "password", "username": email, "password": password})


@pytest.mark.parametrize("registered", ["nfc", "nfd", "xn", "host in capitals", "all in capitals"])
async def test_what_registers_logs_in_however_it_is_typed(
    client: httpx.AsyncClient, spellings: dict[str, str], registered: str
) -> None:
    made = await register(client, spellings[registered])

    logins = {name: (await log_in(client, email)).status_code for name, email in spellings.items()}

    assert made.json()["email"] == spellings["nfc"]
    assert logins == dict.fromkeys(spellings, 200)


async def test_no_second_account_is_had_by_typing_the_address_in_another_way(
    client: httpx.AsyncClient, admin: dict[str, str], spellings: dict[str, str]
) -> None:
    await register(client, spellings["nfd"])

    again = [
        await client.post(REGISTER, json={"email": email, "password": PASSWORD}, headers=admin)
        for email in spellings.values()
    ]

    assert {answer.json()["code"] for answer in again} == {"auth.email_taken"}


async def test_wrong_passwords_are_counted_for_the_account_and_not_for_its_spelling(
    client: httpx.AsyncClient, spellings: dict[str, str]
) -> None:
    await register(client, spellings["nfc"])
    for email in 2 * list(spellings.values()):
        await log_in(client, email, "wrong password")

    assert (await log_in(client, spellings["nfc"])).status_code == 401


@pytest.mark.parametrize("typed", ["nfc", "nfd", "xn", "host in capitals", "all in capitals"])
async def test_an_invitation_reaches_the_account_and_an_administrator_finds_it(
    client: httpx.AsyncClient,
    admin: dict[str, str],
    letters: Letters,
    register_proved: RegisterUser,
    spellings: dict[str, str],
    typed: str,
) -> None:
    owner = await register_proved()
    account = (await register(client, spellings["nfc"])).json()

    (await invite(client, owner, spellings[typed])).raise_for_status()
    accepted = await accept(client, letters.token(spellings["nfc"]), PASSWORD)

    found = await client.get(USERS, params={"q": spellings[typed]}, headers=admin)
    assert accepted.json()["user_id"] == account["id"]
    assert [user["id"] for user in found.json()["items"]] == [account["id"]]


@pytest.mark.parametrize("typed", ["Jo <jo@example.com>", "<jo@example.com>", '"jo"@example.com', "jo@example.com,"])
async def test_what_is_more_than_an_address_is_refused_everywhere(
    client: httpx.AsyncClient, user: User, typed: str
) -> None:
    answers = {
        "/email": [
            await register(client, typed),
            await client.post(INVITATIONS, json={"email": typed, "role": "member"}, headers=user.headers),
        ],
        "/username": [await log_in(client, typed)],
    }

    for pointer, refused in answers.items():
        for answer in refused:
            assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, [pointer])


PASSWORDS = {
    "nfc": "Ålesund før bølgen",
    "nfd": unicodedata.normalize("NFD", "Ålesund før bølgen"),
    "other spaces": "Ålesund\u00a0før\u3000bølgen",
}


@pytest.mark.parametrize("chosen", PASSWORDS)
async def test_a_password_is_the_same_in_every_form(client: httpx.AsyncClient, chosen: str) -> None:
    email = f"{secrets.token_hex(8)}@example.com"
    await register(client, email, PASSWORDS[chosen])

    logins = {name: (await log_in(client, email, typed)).status_code for name, typed in PASSWORDS.items()}

    assert logins == dict.fromkeys(PASSWORDS, 200)
    assert (await log_in(client, email, PASSWORDS["nfc"].lower())).status_code == 401


async def test_a_password_is_changed_and_proved_in_every_form(
    client: httpx.AsyncClient, letters: Letters, register_proved: RegisterUser
) -> None:
    owner, user = [await register_proved() for _ in range(2)]
    body = {"current_password": user.password, "new_password": PASSWORDS["nfd"]}
    changed = [await client.post(PASSWORD_CHANGE, json=body, headers=user.headers)]
    body = {"current_password": PASSWORDS["other spaces"], "new_password": PASSWORDS["other spaces"]}
    changed.append(await client.post(PASSWORD_CHANGE, json=body, headers=user.headers))

    await invite(client, owner, user.email)
    accepted = await accept(client, letters.token(user.email), PASSWORDS["nfd"])

    assert [answer.status_code for answer in changed] == [204, 204]
    assert accepted.status_code == 200
    assert (await client.get(MEMBERS, headers=owner.headers)).json()["items"][-1]["email"] == user.email


@pytest.mark.parametrize("control", ["\t", "\n", "\x00", "\x7f", "\x85"], ids=ascii)
async def test_control_characters_are_refused_in_a_new_password_and_tried_in_an_old_one(
    client: httpx.AsyncClient, letters: Letters, register_proved: RegisterUser, control: str
) -> None:
    owner, user = [await register_proved() for _ in range(2)]
    guest, password = f"{secrets.token_hex(8)}@example.com", f"horse{control}staple"
    await invite(client, owner, guest)
    change = {"current_password": user.password, "new_password": password}

    refused = {
        "/password": [
            await register(client, guest, password),
            await accept(client, letters.token(guest), password),
        ],
        "/new_password": [await client.post(PASSWORD_CHANGE, json=change, headers=user.headers)],
    }

    for pointer, answers in refused.items():
        for answer in answers:
            assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, [pointer])
    assert (await log_in(client, user.email, password)).status_code == 401


async def test_an_administrator_logs_in_as_their_address_and_password_were_set(
    suite: Suite, service_client: ServiceClient, spellings: dict[str, str]
) -> None:
    suite.up(["postgres", "redis-cache"])
    async with service_client("auth", admin_email=spellings["xn"], admin_password=PASSWORDS["nfd"]) as client:
        login = await log_in(client, spellings["nfd"], PASSWORDS["nfc"])

    assert login.status_code == 200
