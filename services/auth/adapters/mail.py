"""Chooses how letters leave, by the scheme of `MAIL_URL`.

smtps://user:password@host       TLS from the start, port 465
smtp://user:password@host        STARTTLS, demanded, port 587
smtp+plain://host                neither, port 25: a relay on one's own network; takes no password
file:///folder                   no mail at all: files
"""

from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import url2pathname

from services.auth.adapters.mail_folder import MailFolder
from services.auth.adapters.mail_smtp import SmtpMailer, SmtpServer
from services.auth.ports import Mail, Mailer
from shared.errors import Unavailable

_PORTS = {"smtps": 465, "smtp": 587, "smtp+plain": 25}


class NoMail:
    """An installation that was not told how (`services.auth.ports.Mailer`)."""

    async def send(self, mail: Mail) -> None:  # noqa: ARG002 - the port's signature
        raise Unavailable("mail", detail="mail is not set up in this installation.", retry_after_seconds=3600)


def mailer_for(url: str | None, sender: str | None) -> Mailer:
    """Raises ValueError, which never quotes the URL: it may hold a password."""
    if not url:
        return NoMail()
    if not sender:
        raise ValueError("letters need a sender: set MAIL_FROM")
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return MailFolder(Path(url2pathname(parts.path)), sender)
    return SmtpMailer(_server(parts), sender)


def _server(parts: SplitResult) -> SmtpServer:
    port = _port(parts)
    if port is None or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("MAIL_URL is smtps://…, smtp://…, smtp+plain://host or file:///folder")
    if parts.scheme == "smtp+plain" and (parts.username or parts.password):
        raise ValueError("MAIL_URL would send its password in the clear: use smtp:// or smtps://")
    return SmtpServer(
        host=parts.hostname,
        port=port,
        tls=parts.scheme == "smtps",
        starttls=parts.scheme == "smtp",
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def _port(parts: SplitResult) -> int | None:
    """None for a scheme we do not know, and for what is no port."""
    default = _PORTS.get(parts.scheme)
    try:
        return default and (parts.port or default)
    except ValueError:  # its message quotes what stands there: a part of the password, when that holds a slash
        return None
