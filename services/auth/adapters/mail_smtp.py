"""Letters through a mail server (RFC 5321), over TLS."""

import asyncio
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage

import aiosmtplib

from services.auth.adapters.mail_message import message_of
from services.auth.errors import AddressRefused
from services.auth.ports import Mail
from shared.errors import Unavailable

_STEP_SECONDS = 5.0  # for the connection and for each answer
_SEND_SECONDS = 10.0  # for all of it
_FOR_GOOD = 500  # RFC 5321, section 4.2.1: such an answer comes again


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where, and how the connection is made safe: TLS from the start, STARTTLS, or (without both) not at all."""

    host: str
    port: int
    tls: bool
    starttls: bool
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class SmtpMailer:
    """One connection a letter (`services.auth.ports.Mailer`): there are too few for a pool."""

    def __init__(self, server: SmtpServer, sender: str) -> None:
        self._server, self._sender = server, sender
        self._tls_context = ssl.create_default_context() if server.tls or server.starttls else None

    async def send(self, mail: Mail) -> None:
        message = message_of(mail, self._sender)
        try:
            async with asyncio.timeout(_SEND_SECONDS), self._connection() as connection:
                await _hand_over(connection, message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(refused.code >= _FOR_GOOD for refused in error.recipients):
                raise AddressRefused from error
            raise Unavailable("mail") from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise Unavailable("mail") from error

    def _connection(self) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            local_hostname=self._sender.rpartition("@")[2],  # its default asks the name server for ours
            timeout=_STEP_SECONDS,
            use_tls=server.tls,
            start_tls=server.starttls,  # True: a server that does not offer it is refused, False: never
            tls_context=self._tls_context,
        )


async def _hand_over(connection: aiosmtplib.SMTP, message: EmailMessage) -> None:
    try:
        await connection.send_message(message)
    except aiosmtplib.SMTPNotSupported as error:  # SMTPUTF8, without which such a name cannot be written: RFC 6531, 3.2
        if message["To"].isascii():
            raise
        raise AddressRefused from error
