"""A real mail server, aiosmtpd, that asks for TLS and a password, and a certificate that its clients may trust."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "suite", "p@ss/w:rd"


@dataclass
class Received:
    """Letters that were taken; who is in `refused` gets none."""

    refused: dict[str, str] = field(default_factory=dict)
    letters: list[Envelope] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.letters.append(envelope)
        self.sessions.append(session)
        return "250 taken"


@dataclass(frozen=True)
class MailServer:
    port: int
    received: Received


@asynccontextmanager
async def mail_server(directory: Path, scheme: str, *, reads_unicode: bool = False) -> AsyncIterator[MailServer]:
    """On loopback; asks for what `scheme` promises. With `reads_unicode` it knows SMTPUTF8."""
    received = Received()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate(directory), directory / "key.pem")
    chosen: dict[str, dict[str, Any]] = {
        "smtp": {"tls_context": context, "require_starttls": True, "auth_required": True},
        "smtps": {"auth_require_tls": False},  # it does not see that it is under TLS already
        "smtp+plain": {},
    }
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(received, hostname="mail", authenticator=check, enable_SMTPUTF8=reads_unicode, **chosen[scheme]),
        "127.0.0.1",
        0,
        ssl=context if scheme == "smtps" else None,
    )
    async with server:
        yield MailServer(server.sockets[0].getsockname()[1], received)


def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword) -> AuthResult:
    return AuthResult(success=(login.login, login.password) == (USER.encode(), PASSWORD.encode()))


def certificate(directory: Path) -> Path:
    """Of 127.0.0.1, signed by itself, with its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
