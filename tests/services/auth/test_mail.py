"""Letters: through a real mail server, over TLS that is checked, or into a folder."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import text

from local.suite import Suite
from services.auth.adapters import mail_smtp
from services.auth.adapters.mail import mailer_for
from services.auth.errors import AddressRefused
from services.auth.ports import Mail
from shared.errors import Unavailable
from shared.postgres import Database
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import User, register_with
from tests.fixtures.letters import token_in
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.auth.mail_server import PASSWORD, USER, MailServer, mail_server
from tests.services.auth.tenancy import INVITATIONS, accept, invite

SENDER = "no-reply@example.com"
MAIL = Mail(to="ada@example.com", subject="Hallo, schöne Welt", text="Erste Zeile\n.zweite, mit Punkt\nÜber uns\n")
Serve = Callable[..., AbstractAsyncContextManager[MailServer]]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """`async with serve("smtp") as server`: a mail server that asks for this, and whose certificate is trusted."""

    @asynccontextmanager
    async def serve(scheme: str, **knows: bool) -> AsyncIterator[MailServer]:
        async with mail_server(tmp_path, scheme, **knows) as server:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
            yield server

    return serve


def url(scheme: str, port: int, password: str = PASSWORD) -> str:
    login = "" if scheme == "smtp+plain" else f"{USER}:{quote(password, safe='')}@"
    return f"{scheme}://{login}127.0.0.1:{port}"


async def proved(database: Database, user: User) -> User:
    """Without the letter."""
    async with database.transaction() as session:
        where = {"id": user.user_id}
        await session.execute(text("UPDATE user_account SET email_verified_at = now() WHERE id = :id"), where)
    return user


async def send(url: str, mail: Mail = MAIL) -> None:
    await mailer_for(url, SENDER).send(mail)


@pytest.mark.parametrize("scheme", ["smtp", "smtps", "smtp+plain"])
async def test_a_letter_arrives_whole_at_its_one_address(serve: Serve, scheme: str) -> None:
    async with serve(scheme) as server:
        await send(url(scheme, server.port))

    [envelope] = server.received.letters
    assert isinstance(envelope.content, bytes)
    letter = message_from_bytes(envelope.content, policy=policy.default)
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, [MAIL.to])
    assert (letter["Subject"], letter["Auto-Submitted"]) == (MAIL.subject, "auto-generated")
    assert {"Date", "Message-ID"} <= set(letter.keys())
    assert letter.get_content().replace("\r\n", "\n") == MAIL.text
    assert bool(server.received.sessions[0].authenticated) is (scheme != "smtp+plain")


async def test_a_letter_to_a_host_beyond_ascii_needs_no_newer_server(serve: Serve) -> None:
    async with serve("smtp+plain") as server:
        await send(url("smtp+plain", server.port), replace(MAIL, to="ada@bücher.example.com"))

    [envelope] = server.received.letters
    assert envelope.rcpt_tos == ["ada@xn--bcher-kva.example.com"]
    assert isinstance(envelope.content, bytes)
    assert b"To: ada@xn--bcher-kva.example.com\r\n" in envelope.content


async def test_a_name_beyond_ascii_is_refused_for_good_by_a_server_that_cannot_read_it(serve: Serve) -> None:
    async with serve("smtp+plain") as server:
        with pytest.raises(AddressRefused):
            await send(url("smtp+plain", server.port), replace(MAIL, to="jürgen@example.com"))

    assert server.received.letters == []


async def test_a_name_beyond_ascii_is_written_to_where_the_server_reads_it(serve: Serve) -> None:
    async with serve("smtp+plain", reads_unicode=True) as server:
        await send(url("smtp+plain", server.port), replace(MAIL, to="jürgen@bücher.example.com"))

    [envelope] = server.received.letters
    assert envelope.rcpt_tos == ["jürgen@bücher.example.com"]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_server_that_cannot_prove_its_name_gets_nothing(
    serve: Serve, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(scheme) as server:
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(Unavailable, match="mail"):
            await send(url(scheme, server.port))

    assert server.received.letters == []


async def test_a_server_without_starttls_gets_neither_letter_nor_password(serve: Serve) -> None:
    async with serve("smtp+plain") as server:
        with pytest.raises(Unavailable, match="mail"):
            await send(url("smtp", server.port))

    assert server.received.letters == []


async def test_a_wrong_password_makes_mail_unavailable(serve: Serve) -> None:
    async with serve("smtps") as server:
        with pytest.raises(Unavailable, match="mail"):
            await send(url("smtps", server.port, "wrong"))


@pytest.mark.parametrize(
    ("answer", "expected"), [("550 no such mailbox", AddressRefused), ("451 try later", Unavailable)]
)
async def test_a_refusal_for_good_is_told_from_one_for_now(
    serve: Serve, answer: str, expected: type[Exception]
) -> None:
    async with serve("smtp+plain") as server:
        server.received.refused[MAIL.to] = answer
        with pytest.raises(expected):
            await send(url("smtp+plain", server.port))


async def test_a_server_that_is_not_there_makes_mail_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))

        with pytest.raises(Unavailable, match="mail"):
            await send(url("smtps", unused.getsockname()[1]))


async def test_a_server_that_never_answers_is_given_up_within_ten_seconds() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(Unavailable, match="mail"):
                await send(url("smtp+plain", port))


async def test_a_folder_holds_each_letter_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"

    for _ in range(2):
        await send(folder.as_uri())

    files = list(folder.iterdir())
    letter = message_from_bytes(files[0].read_bytes(), policy=policy.default)
    assert [(file.suffix, file.stat().st_mode & 0o777) for file in files] == [(".eml", 0o600)] * 2
    assert folder.stat().st_mode & 0o777 == 0o700
    assert letter.get_content().replace("\r\n", "\n") == MAIL.text


async def test_a_folder_that_cannot_be_written_makes_mail_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Unavailable, match="mail"):
        await send((tmp_path / "file" / "folder").as_uri())


@pytest.mark.parametrize(
    "wrong",
    [
        "smtp+plain://suite:s3cret@mail.example",
        "http://suite:s3cret@mail.example:25",
        "smtp://suite:s3cret/more@mail.example",
        "smtp://suite:s3cret@mail.example/path",
        "smtps://suite:s3cret@mail.example?tls=no",
        "file://s3cret/folder",
        "s3cret",
    ],
)
def test_an_address_that_is_no_way_for_letters_is_refused_and_not_quoted(wrong: str) -> None:
    with pytest.raises(ValueError, match="MAIL_URL") as refusal:
        mailer_for(wrong, SENDER)

    assert "s3cret" not in str(refusal.value)


def test_letters_need_a_sender() -> None:
    with pytest.raises(ValueError, match="MAIL_FROM"):
        mailer_for("smtps://mail.example", None)


# --- Through the service ----------------------------------------------------------------------------------------------


async def test_an_invitation_goes_through_the_mail_server(
    suite: Suite, service_client: ServiceClient, serve: Serve, database: Database
) -> None:
    suite.up(["postgres", "redis-cache"])
    async with serve("smtp") as server, service_client("auth", mail_url=url("smtp", server.port)) as client:
        owner = await proved(database, await register_with(client)())
        made = await invite(client, owner, f"new-{owner.email}")
        [envelope] = [one for one in server.received.letters if one.rcpt_tos != [owner.email]]
        assert isinstance(envelope.content, bytes)
        token = token_in(message_from_bytes(envelope.content, policy=policy.default))
        joined = await accept(client, token, "correct horse battery staple")

    assert (made.status_code, envelope.rcpt_tos) == (201, [f"new-{owner.email}"])
    assert joined.json()["tenant"]["id"] == owner.tenant_id


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("550 no such mailbox", (422, "auth.address_refused")), ("451 try later", (503, "common.unavailable"))],
)
async def test_when_the_letter_fails_nothing_is_made(
    suite: Suite,
    service_client: ServiceClient,
    serve: Serve,
    database: Database,
    answer: str,
    expected: tuple[int, str],
) -> None:
    suite.up(["postgres", "redis-cache"])
    async with serve("smtp") as server, service_client("auth", mail_url=url("smtp", server.port)) as client:
        owner = await proved(database, await register_with(client)())
        server.received.refused[f"new-{owner.email}"] = answer
        failed = await invite(client, owner, f"new-{owner.email}")
        listed = await client.get(INVITATIONS, headers=owner.headers)

    assert (failed.status_code, failed.json()["code"]) == expected
    assert listed.json()["items"] == []


async def test_whom_the_mail_server_cannot_read_is_not_invited_and_is_told_so(
    suite: Suite, service_client: ServiceClient, serve: Serve, database: Database
) -> None:
    suite.up(["postgres", "redis-cache"])
    async with serve("smtp") as server, service_client("auth", mail_url=url("smtp", server.port)) as client:
        owner = await proved(database, await register_with(client)())
        refused = await invite(client, owner, "jürgen@example.com")
        listed = await client.get(INVITATIONS, headers=owner.headers)

    assert (refused.status_code, refused.json()["code"]) == (422, "auth.address_refused")
    assert listed.json()["items"] == []


async def test_a_mail_server_that_hangs_holds_nobody_up_but_those_who_invite(
    suite: Suite, service_client: ServiceClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is over, however long the machine takes for what is done meanwhile."""
    for limit in ("_STEP_SECONDS", "_SEND_SECONDS"):
        monkeypatch.setattr(mail_smtp, limit, 2 * PATIENCE_SECONDS)
    suite.up(["postgres", "redis-cache"])
    waiting, is_over = asyncio.Semaphore(0), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting.release()
        await is_over.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with service_client("auth", mail_url=url("smtp+plain", port)) as client:
            owner, other = [await written_to(client, database, waiting) for _ in range(2)]
            stuck, beyond = list[asyncio.Task[httpx.Response]](), list[httpx.Response]()
            for tenant in (owner, other):  # each has half of what there is
                stuck += [asyncio.create_task(invite(client, tenant, f"{n}-{tenant.email}")) for n in range(4)]
                for _ in range(4):
                    await waiting.acquire()
                beyond.append(await invite(client, owner, f"new-{owner.email}"))
            logins = await asyncio.gather(*(log_in_again(client, owner.email, owner.password) for _ in range(4)))
            assert not any(task.done() for task in stuck)
            is_over.set()
            answers = await asyncio.gather(*stuck)

    assert [(one.status_code, "letters" in one.json()["detail"]) for one in beyond] == [(503, True)] * 2
    assert {answer.status_code for answer in logins} == {200}
    assert {answer.status_code for answer in answers} == {503}


async def written_to(client: httpx.AsyncClient, database: Database, waiting: asyncio.Semaphore) -> User:
    """Somebody whose own letters are on their way, each before the next is asked for: what follows is none of them."""
    email, password = f"{secrets.token_hex(8)}@example.com", secrets.token_urlsafe(16)
    made = await client.post("/api/v1/auth/register", json={"email": email, "password": password})
    account = made.raise_for_status().json()
    await waiting.acquire()  # the proof of the address
    user = await proved(database, User(account["id"], account["tenant_id"], email, password, "", ""))
    token = (await log_in_again(client, email, password)).raise_for_status().json()["access_token"]
    await waiting.acquire()  # that somebody logged in from an address that was not known
    return replace(user, token=token)


async def log_in_again(client: httpx.AsyncClient, email: str, password: str) -> httpx.Response:
    form = {"grant_type": "password", "username": email, "password": password}
    return await client.post("/api/v1/auth/token", data=form)
