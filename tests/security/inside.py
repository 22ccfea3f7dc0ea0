"""Servers that stand where a service of ours should: real ones, of strangers, of other services, out of date."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypedDict

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.certificates import AUTHORITY, AUTHORITY_KEY, certificate
from shared.calls import ServiceClient, open_http_client
from shared.discovery import StaticDiscovery
from shared.telemetry import Metrics
from shared.tls import Tls
from tests.fixtures.ports import free_port


class Term(TypedDict):
    """From now, of a certificate."""

    began: timedelta
    ends: timedelta


EXPIRED: Final[Term] = {"began": timedelta(days=-90), "ends": timedelta(seconds=-1)}


def tls_of(directory: Path, process: str) -> Tls:
    """As that process of the suite has it."""
    own = certificate(directory, process)
    return Tls(process, own, own, directory / AUTHORITY)


def put_certificate(
    directory: Path, process: str, *, ends: timedelta, began: timedelta, is_self_signed: bool = False
) -> None:
    """One of the suite's own authority, or of itself, that began and ends at these distances from now."""
    signing = (directory / AUTHORITY_KEY).read_bytes()
    authority, authority_key = x509.load_pem_x509_certificate(signing), load_pem_private_key(signing, None)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    signer = key if is_self_signed else authority_key
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, process)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if is_self_signed else authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + began)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(process)]), critical=False)
    )
    made = builder.sign(signer, hashes.SHA256())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    certificate(directory, process).write_bytes(text)


def showing(pem: Path) -> ssl.SSLContext:
    """Of a server that has this certificate, whoever's it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


WHO: Final = ("of another authority", "self-signed", "another service", "a former one")


def shown_by(who: str, service: str, suite: Path, strange: Path, place: Path) -> ssl.SSLContext:
    """What whoever stands where `service` should be, shows: one of `WHO`; `place` is to write in."""
    shutil.copytree(suite, place, dirs_exist_ok=True)
    match who:
        case "self-signed":
            put_certificate(place, service, began=-timedelta(1), ends=timedelta(9), is_self_signed=True)
        case "a former one":
            put_certificate(place, service, **EXPIRED)
        case "another service":
            return showing(certificate(suite, "chat"))
        case _:
            return showing(certificate(strange, service))
    return showing(certificate(place, service))


@dataclass
class Rogue:
    """Somebody on a port where a service was, and what they were told."""

    address: str = ""
    wanted: list[str | None] = field(default_factory=list)
    """The names that callers asked a certificate for: that they came at all."""
    received: bytearray = field(default_factory=bytearray)

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                self.received += data
        except OSError:
            pass  # who does not believe us hangs up
        finally:
            writer.close()


@asynccontextmanager
async def rogue(context: ssl.SSLContext | None) -> AsyncIterator[Rogue]:
    """Without a context it speaks no TLS, and hears what is said to it in any case."""
    found = Rogue()
    if context:
        context.sni_callback = lambda _socket, name, _context: found.wanted.append(name)
    server = await asyncio.start_server(found.hear, "127.0.0.1", 0, ssl=context)
    found.address = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield found


async def _kept(_: Request) -> Response:
    return JSONResponse({"it": "answers"})


async def _closed(_: Request) -> Response:
    return JSONResponse({"it": "answers"}, headers={"Connection": "close"})


@asynccontextmanager
async def genuine(tls: Tls) -> AsyncIterator[str]:
    """The address of a server that has the certificate it should, and keeps connections for `/kept` only."""
    both = ["GET", "POST"]
    routes = [Route("/kept", _kept, methods=both), Route("/{path:path}", _closed, methods=both)]
    config = uvicorn.Config(
        Starlette(routes=routes),
        port=free_port(),
        log_config=None,
        lifespan="off",
        ssl_context_factory=lambda *_: tls.server,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn sets a plain flag
        await asyncio.sleep(0.01)
    try:
        yield f"https://127.0.0.1:{config.port}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def calling(tls: Tls, **addresses: str) -> AsyncIterator[ServiceClient]:
    """What a service that has `tls` calls others with."""
    async with open_http_client(5, tls) as http:
        yield ServiceClient(StaticDiscovery(addresses), http, Metrics(), uses_tls=True)
