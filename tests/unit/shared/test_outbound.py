"""Requests to addresses that users write reach nothing that is not public or allowed."""

import asyncio
import gzip
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.outbound import (
    AddressRefused,
    Allowed,
    AnswerBroken,
    HostUnknown,
    NamesBusy,
    NotReached,
    OutboundClient,
    OutboundError,
    OutboundRequest,
    OutboundTimeout,
    Owner,
    RequestRefused,
    Resolve,
    open_outbound,
    require_header,
)
from tests.fixtures.patience import PATIENCE_SECONDS

LOCAL = Allowed.of("127.0.0.0/8")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def asking(url: str, *, seconds: float = PATIENCE_SECONDS, most_bytes: int = 1_000_000, **more: Any) -> OutboundRequest:
    return OutboundRequest("GET", url, seconds, most_bytes, **more)


def resolving(*answers: Sequence[str]) -> Resolve:
    """Each time the next answer, and the last for ever."""
    left = list(answers)

    async def resolve(host: str, owner: Owner) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


@asynccontextmanager
async def serving(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server on 127.0.0.1 that answers each connection so."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def saying(head: str, body: bytes = b"") -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return serve


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255"),  # noqa: S104
        *("192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *("192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::1", "::", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "fe80::1", "fc00::1", "fd00:ec2::254"),
        *("ff02::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::1", "2002:808:808::1"),
        *("2001::1", "2001:db8::1", "3fff::1", "fec0::1", "100::1", "5f00::1"),
    ],
)
async def test_no_address_that_is_not_public_is_asked(address: str) -> None:
    literal = f"http://[{address}]:9/" if ":" in address else f"http://{address}:9999/"
    for url, answer in (("http://rebound.example/", address), (literal, "8.8.8.8")):
        with pytest.raises(RequestRefused):
            await OutboundClient(Allowed(), resolving([answer])).ask(asking(url))
    with pytest.raises(AddressRefused):  # one public address beside it does not make it better
        await OutboundClient(Allowed(), resolving(["8.8.8.8", address])).ask(asking("http://both.example/"))


@pytest.mark.parametrize("address", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_may_be_asked(address: str) -> None:
    assert Allowed().takes_all([address])


@pytest.mark.parametrize(
    "url",
    [
        *("http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/", "http://0/"),
        *("http://0x7f.0.0.1/", "http://127.0.0.1./", "http://①②⑦.0.0.1/", "http://localhost/", "http://localhost./"),
        *("http://LOCALHOST:8080/", "http://[::ffff:7f00:1]/", "http://[0:0:0:0:0:0:0:1]/", "http://[fe80::1%25eth0]/"),
    ],
)
async def test_no_spelling_of_this_machine_is_asked(url: str) -> None:
    async with open_outbound(Allowed()) as client:
        with pytest.raises((RequestRefused, HostUnknown)):
            await client.ask(asking(url))


@pytest.mark.parametrize(
    "url",
    [
        *(
            "ftp://example.com/",
            "file:///etc/passwd",
            "gopher://example.com/",
            "//example.com/",
            "example.com",
            "http://",
        ),
        *("http://user@example.com/", "http://user:secret@example.com/", "http://@example.com/", "http:///path"),
        *(
            "http://example.com\\@127.0.0.1/",
            "http://example.com /",
            "http://example.com/\r\nX: y",
            "http://ex\x00.com/",
        ),
        *("http://example.com:22/", "http://example.com:0/", "http://example.com:99999/", "http://example.com:x/"),
        *("http://[::1/", "http://example.com/" + "a" * 9000),
    ],
)
async def test_a_url_that_may_mislead_is_refused(url: str) -> None:
    with pytest.raises(RequestRefused):
        await OutboundClient(LOCAL, resolving(["127.0.0.1"])).ask(asking(url))


async def test_the_connection_is_made_to_the_address_that_was_judged() -> None:
    """A name server that answers otherwise the second time is not asked a second time."""
    async with serving(saying("HTTP/1.1 200 OK\nContent-Length: 2", b"hi")) as port:
        client = OutboundClient(Allowed.of("127.0.0.1"), resolving(["127.0.0.1"], ["127.0.0.2"]))

        first = await client.ask(asking(f"http://rebound.example:{port}/"))

        assert (first.status, first.body) == (200, b"hi")
        with pytest.raises(AddressRefused):
            await client.ask(asking(f"http://rebound.example:{port}/"))


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with serving(saying("HTTP/1.1 302 Found\nLocation: http://127.0.0.2/\nContent-Length: 0")) as port:
        answer = await OutboundClient(LOCAL, resolving([])).ask(asking(f"http://127.0.0.1:{port}/"))

    assert (answer.status, answer.headers["location"]) == (302, "http://127.0.0.2/")


async def test_a_host_that_the_operator_named_may_be_anywhere() -> None:
    async with serving(saying("HTTP/1.1 204 No Content")) as port:
        client = OutboundClient(Allowed.of("intranet.example, 10.1.0.0/16"), resolving(["127.0.0.1"]))

        assert (await client.ask(asking(f"http://Intranet.example:{port}/"))).status == 204
        with pytest.raises(AddressRefused):
            await client.ask(asking(f"http://other.example:{port}/"))


@pytest.mark.parametrize("text", ["10.0.0.0/99", "http://host/", "10.0.0.1/8", "*", "a b", "127.1"])
def test_an_allowance_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no network"):
        Allowed.of(text)


async def test_an_answer_is_read_up_to_its_bound_however_it_is_packed() -> None:
    packed = gzip.compress(b"\0" * 50_000_000)
    head = f"HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: {len(packed)}"
    async with serving(saying(head, packed)) as port:
        answer = await OutboundClient(LOCAL, resolving([])).ask(asking(f"http://127.0.0.1:{port}/", most_bytes=100_000))

    assert (len(answer.body), answer.is_cut) == (100_000, True)


async def test_a_packed_answer_is_unpacked() -> None:
    packed = gzip.compress(b"text " * 100_000)
    async with serving(
        saying(f"HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: {len(packed)}", packed)
    ) as port:
        answer = await OutboundClient(LOCAL, resolving([])).ask(asking(f"http://127.0.0.1:{port}/"))

    assert (answer.body, answer.is_cut) == (b"text " * 100_000, False)


async def test_an_endless_answer_ends_at_its_bound() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with serving(endless) as port:
        answer = await OutboundClient(LOCAL, resolving([])).ask(asking(f"http://127.0.0.1:{port}/", most_bytes=300_000))

    assert (len(answer.body), answer.is_cut) == (300_000, True)


async def test_an_answer_without_an_end_of_interim_ones_is_given_up() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
            await writer.drain()

    async with serving(endless) as port:
        with pytest.raises(AnswerBroken):
            await OutboundClient(LOCAL, resolving([])).ask(asking(f"http://127.0.0.1:{port}/"))


async def test_a_few_interim_answers_are_passed_over() -> None:
    early = "HTTP/1.1 103 Early Hints\nLink: </style.css>\n\n"
    async with serving(saying(f"{early * 3}HTTP/1.1 200 OK\nContent-Length: 4", b"here")) as port:
        answer = await OutboundClient(LOCAL, resolving([])).ask(asking(f"http://127.0.0.1:{port}/"))

    assert (answer.status, answer.body) == (200, b"here")


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"])
async def test_who_does_not_answer_in_time_is_given_up(begins: bytes) -> None:
    async def hanging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begins)
        await reader.read()

    async with serving(hanging) as port:
        with pytest.raises(OutboundTimeout):
            await OutboundClient(LOCAL, resolving([])).ask(asking(f"http://127.0.0.1:{port}/", seconds=0.2))


async def test_a_name_server_that_hangs_is_given_up() -> None:
    async def never(host: str, owner: Owner) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(OutboundTimeout):
        await OutboundClient(LOCAL, never).ask(asking("http://slow.example/", seconds=0.1))


@asynccontextmanager
async def black_hole(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Within, looking up `*.hole` goes on, and what ends in `.own` is 127.0.0.1."""
    end = threading.Event()

    def getaddrinfo(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host.endswith(".hole"):
            end.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        yield
    finally:
        end.set()


async def test_names_that_are_never_answered_keep_nobody_else_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        black_hole(monkeypatch),
        open_outbound(LOCAL) as client,
        serving(saying("HTTP/1.1 204 No Content")) as port,
    ):
        stuck = [
            client.of(Owner("greedy", f"{number % 4}")).ask(asking("http://x.hole/", seconds=0.3))
            for number in range(80)
        ]

        told = await asyncio.gather(*stuck, return_exceptions=True)
        answer = await client.of(Owner("other", "user")).ask(asking(f"http://x.own:{port}/"))
        with pytest.raises(OutboundError) as refused:
            await client.of(Owner("greedy", "0")).ask(asking("http://x.own/"))

    assert {type(one) for one in told} == {OutboundTimeout}
    assert answer.status == 204
    assert type(refused.value) is NamesBusy


async def test_a_look_up_that_ended_lets_its_owner_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.outbound.names._WAIT_SECONDS", PATIENCE_SECONDS)
    async with open_outbound(LOCAL) as client, serving(saying("HTTP/1.1 204 No Content")) as port:
        greedy = client.of(Owner("tenant", "user"))
        async with black_hole(monkeypatch):
            stuck = [greedy.ask(asking("http://x.hole/", seconds=0.2)) for _ in range(20)]
            await asyncio.gather(*stuck, return_exceptions=True)
            waiting = asyncio.create_task(greedy.ask(asking(f"http://x.own:{port}/")))
            await asyncio.wait([waiting], timeout=0.1)
            assert not waiting.done()

        assert (await waiting).status == 204


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("no HTTP at all", b""),
        ("HTTP/1.1 200 OK\nContent-Length: 100", b"too little"),
        ("HTTP/1.1 200 OK\nContent-Encoding: br\nContent-Length: 1", b"x"),
        ("HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: 4", b"nope"),
        ("HTTP/1.1 200 OK\nX: " + "a" * 100_000, b""),
    ],
)
async def test_a_broken_answer_is_told_as_one(head: str, body: bytes) -> None:
    async with serving(saying(head, body)) as port:
        with pytest.raises((AnswerBroken, NotReached)):
            await OutboundClient(LOCAL, resolving([])).ask(asking(f"http://127.0.0.1:{port}/"))


async def test_the_environment_names_no_proxy_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with serving(saying("HTTP/1.1 200 OK\nContent-Length: 0")) as port:
        assert (await OutboundClient(LOCAL, resolving([])).ask(asking(f"http://127.0.0.1:{port}/"))).status == 200


@pytest.fixture
def context_of_another(tmp_path: Path) -> ssl.SSLContext:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=other.example"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_who_cannot_prove_its_name_is_not_asked(context_of_another: ssl.SSLContext) -> None:
    async with serving(saying("HTTP/1.1 200 OK\nContent-Length: 0"), context_of_another) as port:
        with pytest.raises(NotReached):
            await OutboundClient(LOCAL, resolving(["127.0.0.1"])).ask(asking(f"https://own.example:{port}/"))


@pytest.mark.parametrize(
    ("name", "value"), [("Host", "x"), ("content-length", "1"), ("a b", "x"), ("x", "1\r\ny: 2"), ("x", "ü"), ("", "x")]
)
def test_headers_that_frame_or_break_a_message_are_refused(name: str, value: str) -> None:
    with pytest.raises(RequestRefused):
        require_header(name, value)


async def test_nothing_that_is_told_holds_a_header() -> None:
    request = asking("http://nobody.invalid/", headers={"authorization": "Bearer s3cr3t"})

    with pytest.raises(OutboundError) as raised:
        await OutboundClient(Allowed(), resolving([])).ask(request)

    assert "s3cr3t" not in f"{request!r} {raised.value!r} {raised.value.detail}"
