"""S25: owners are told by mail of what was done with their account; nobody waits for the letter."""

import asyncio
import re

import httpx
import pytest

from local.suite import Suite
from services.auth.people.letters.post import WAITING_OF_ONE, Post
from services.auth.ports import Mail
from shared.errors import Unavailable
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import RegisterUser, User, register_with
from tests.fixtures.letters import KEY, LOGIN, PASSWORD, Letters
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.sources import passed_on_from
from tests.services.auth.tenancy import TOKEN

KEYS, CHANGE = "/api/v1/auth/api-keys", "/api/v1/auth/password"
MAIL = Mail(to="ada@example.com", subject="Hello", text="Hello\n")


@pytest.fixture
async def owner(register_proved: RegisterUser) -> User:
    return await register_proved()


async def log_in(client: httpx.AsyncClient, user: User, source: str) -> httpx.Response:
    form = {"grant_type": "password", "username": user.email, "password": user.password}
    return await client.post(TOKEN, data=form, headers=passed_on_from(source))


async def make_key(client: httpx.AsyncClient, user: User) -> dict[str, str]:
    body = {"name": "Your parcel waits", "scopes": ["auth:profile"]}
    return dict((await client.post(KEYS, json=body, headers=user.headers)).raise_for_status().json())


async def test_of_a_new_key(client: httpx.AsyncClient, owner: User, letters: Letters) -> None:
    made = await make_key(client, owner)

    letter = (await letters.arrived(owner.email, KEY)).as_string()

    assert made["prefix"] in letter
    assert not [secret for secret in (made["key"], "parcel") if secret in letter]


async def test_of_a_rotated_key(client: httpx.AsyncClient, owner: User, letters: Letters) -> None:
    made = await make_key(client, owner)

    await client.post(f"{KEYS}/{made['id']}/rotate", json={"overlap_seconds": 60}, headers=owner.headers)

    await letters.arrived(owner.email, KEY, number=2)


async def test_of_a_changed_password(client: httpx.AsyncClient, owner: User, letters: Letters) -> None:
    body = {"current_password": owner.password, "new_password": "another horse battery staple"}

    await client.post(CHANGE, json=body, headers=owner.headers | passed_on_from("203.0.113.77"))

    assert "203.0.113.77" in (await letters.arrived(owner.email, PASSWORD)).get_content()


async def test_of_a_login_from_a_source_that_was_not_known(
    suite: Suite, service_client: ServiceClient, register_user: RegisterUser, letters: Letters
) -> None:
    suite.up(["postgres", "redis"])
    owner = await register_user()
    async with service_client("auth") as client:
        sources = ["203.0.113.5", "203.0.113.6", "203.0.113.5", "203.0.113.6"]
        answers = [await log_in(client, owner, source) for source in sources]

    assert {answer.status_code for answer in answers} == {200}
    assert sorted(told_of(letters, owner)) == ["203.0.113.5", "203.0.113.6"]


async def test_a_source_does_not_come_to_be_known_by_a_login_that_is_refused_for_its_scopes(
    client: httpx.AsyncClient, owner: User, letters: Letters
) -> None:
    form = {"grant_type": "password", "username": owner.email, "password": owner.password, "scope": "admin"}

    answer = await client.post(TOKEN, data=form, headers=passed_on_from("203.0.113.10"))

    assert answer.status_code == 422
    async with asyncio.timeout(PATIENCE_SECONDS):
        while told_of(letters, owner) != ["203.0.113.10"]:  # noqa: ASYNC110 - a letter comes when it comes
            await asyncio.sleep(0.01)


def told_of(letters: Letters, owner: User) -> list[str]:
    """Sources of logins; not where they registered, which they are told of if they proved their address soon enough."""
    told = "".join(letter.get_content() for letter in letters.to(owner.email, LOGIN))
    return re.findall(r"203\.0\.113\.\d+", told)


async def test_a_wrong_password_from_a_new_source_is_no_login(
    suite: Suite, service_client: ServiceClient, register_user: RegisterUser, letters: Letters
) -> None:
    suite.up(["postgres", "redis"])
    owner = await register_user()
    async with service_client("auth") as client:
        form = {"grant_type": "password", "username": owner.email, "password": "wrong password"}
        await client.post(TOKEN, data=form, headers=passed_on_from("203.0.113.8"))

    assert told_of(letters, owner) == []


async def test_nobody_is_told_at_an_address_that_was_never_proved(
    suite: Suite, service_client: ServiceClient, letters: Letters
) -> None:
    suite.up(["postgres", "redis"])
    async with service_client("auth") as client:
        user = await register_with(client)()
        await make_key(client, user)
        await log_in(client, user, "203.0.113.9")

    assert len(letters.to(user.email)) == 1  # to prove it


async def test_a_mail_server_that_is_away_or_silent_costs_the_request_nothing(
    suite: Suite, service_client: ServiceClient, register_user: RegisterUser, caplog: pytest.LogCaptureFixture
) -> None:
    suite.up(["postgres", "redis"])
    owner = await register_user()
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with caplog.at_level("INFO"):
            async with service_client("auth", mail_url=f"smtp+plain://127.0.0.1:{port}") as client:
                made = await make_key(client, owner)
                await asked.wait()
                again = await make_key(client, owner)

    assert made["key"] != again["key"]
    assert [record.name for record in caplog.records if record.message == "a letter was not sent"]
    assert owner.email not in caplog.text


class Held:
    """A mailer that takes a letter when it is told to."""

    def __init__(self) -> None:
        self.sent = list[str]()
        self.may_go = asyncio.Event()

    async def send(self, mail: Mail) -> None:
        await self.may_go.wait()
        self.sent.append(mail.to)


async def letter_to(to: str) -> Mail:
    return Mail(to=to, subject="Hello", text="Hello\n")


async def test_a_crowd_of_one_source_pushes_nobody_elses_letter_out(caplog: pytest.LogCaptureFixture) -> None:
    mailer = Held()
    post = Post(mailer, is_open=True)
    for _ in range(WAITING_OF_ONE + 50):
        post.soon(lambda: letter_to("crowd@example.com"), "198.51.100.1")
    post.soon(lambda: letter_to("ada@example.com"), "user ada")
    await asyncio.sleep(0)

    mailer.may_go.set()
    await post.finish()

    assert mailer.sent.index("ada@example.com") <= 5  # after those that had their turn, and one of the crowd
    assert len(mailer.sent) <= WAITING_OF_ONE + 5
    assert "too many wait" in caplog.text


async def test_a_failing_letter_is_logged_without_the_address(caplog: pytest.LogCaptureFixture) -> None:
    async def failing() -> Mail | None:
        raise RuntimeError("no such row: ada@example.com")

    async def unavailable() -> Mail | None:
        raise Unavailable("postgres")

    post = Post(Held(), is_open=True)
    post.soon(failing, "a")
    post.soon(unavailable, "b")
    await post.finish()

    assert {record.message for record in caplog.records} == {"a letter failed", "a letter was not sent"}
    assert "ada@example.com" not in caplog.text


async def test_without_mail_nothing_is_even_written() -> None:
    post = Post(Held(), is_open=False)

    post.soon(lambda: pytest.fail("written"), "a")
    await post.finish()

    with pytest.raises(Unavailable, match="mail"):
        post.require_open()
