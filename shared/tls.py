"""TLS between our own processes: each shows a certificate of the suite's own authority, and callers go by its name.

Who answers at an address proves nothing: a port can be taken while its service restarts, and a registry can be told
anything. So a caller wants, before it sends a byte, the certificate of the service that it means.
"""

import asyncio
import hashlib
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509

from shared.health import Finding
from shared.loops import in_background, keep
from shared.settings import CannotStart, ServiceSettings

TLS_REMEDY: Final = "renew it: `make up`, or `deploy/compose/make_secrets.py` and a restart"
RELOAD_SECONDS: Final = 2.0
"""After which certificates and authorities that were replaced are used."""
_WARNS_AT = 0.25  # of its life: who makes them renews at a third
_log = logging.getLogger("shared.tls")


def open_tls(service: str, settings: ServiceSettings) -> "Tls | None":
    """The certificate of `service`, and whom it believes; None without TLS. Raises CannotStart for what is no use."""
    certificate, key, authority = settings.tls_certificate_file, settings.tls_key_file, settings.tls_authority_file
    if not (certificate and key and authority):
        return None
    return Tls(service, certificate, key, authority)


def meant(service: str) -> dict[str, str]:
    """The `extensions` of a request: whose certificate is wanted, whatever the address. By http it changes nothing.

    A connection that was made to one service is not used for another.
    """
    return {"sni_hostname": service}


def refusal_in(error: BaseException) -> str | None:
    """Why a caller did not believe whom it reached, where that is what `error` came from; None for anything else."""
    found, cause = None, error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, ssl.SSLError):  # aiohttp's own is one too, and has no word of OpenSSL's
            found = getattr(cause, "verify_message", None) or found or "it speaks no TLS of ours"
        cause = cause.__cause__ or cause.__context__
    return found


class _Read(NamedTuple):
    """What the files say."""

    digest: bytes
    begins: datetime
    ends: datetime


class Tls:
    """What this process shows its callers, and whom it believes. TLS 1.3 only: both ends are ours.

    Raises CannotStart for files that cannot be used: unreadable, not a pair, of another service, ended.
    """

    def __init__(self, service: str, certificate: Path, key: Path, authority: Path) -> None:
        self._service = service
        self._certificate, self._key, self._authority = certificate, key, authority
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for context in (self.server, self.client):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._found = self._read()
        self._put_in_force()

    def _read(self) -> _Read:
        contents = []
        for variable, path in self._files:
            with _refused(variable):
                contents.append(path.read_bytes())
        with _refused("TLS_CERTIFICATE_FILE"):
            certificate = x509.load_pem_x509_certificate(contents[0])
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if self._service not in names.get_values_for_type(x509.DNSName):
            raise CannotStart("TLS_CERTIFICATE_FILE", f"is not the certificate of {self._service}")
        if certificate.not_valid_after_utc <= datetime.now(UTC):
            raise CannotStart("TLS_CERTIFICATE_FILE", f"ended on {certificate.not_valid_after_utc:%Y-%m-%d}")
        digest = hashlib.sha256(b"\0".join(contents)).digest()
        return _Read(digest, certificate.not_valid_before_utc, certificate.not_valid_after_utc)

    @property
    def _files(self) -> tuple[tuple[str, Path], ...]:
        return (
            ("TLS_CERTIFICATE_FILE", self._certificate),
            ("TLS_KEY_FILE", self._key),
            ("TLS_AUTHORITY_FILE", self._authority),
        )

    def _put_in_force(self) -> None:
        """For the connections to come. Raises CannotStart, and then all is as it was."""
        with _refused("TLS_KEY_FILE"):
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key)
        with _refused("TLS_AUTHORITY_FILE"):
            self.client.load_verify_locations(self._authority)
        self.server.load_cert_chain(self._certificate, self._key)

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Use what replaces the files while the block runs: nothing is restarted, and no connection is cut.

        An authority that is gone from its file is believed until the process ends.
        """
        async with in_background(keep(self._look, log=_log, every_seconds=RELOAD_SECONDS)):
            yield

    async def _look(self) -> None:
        try:
            found = await asyncio.to_thread(self._read)
            if found.digest == self._found.digest:
                return
            self._put_in_force()  # here and in no thread: a context must not change under a handshake
        except CannotStart as refusal:
            _log.warning("the certificate stays as it was", extra={"fields": {"cause": str(refusal)}})
            return
        self._found = found
        _log.info("certificate read again", extra={"fields": {"valid_until": found.ends.isoformat()}})

    async def check(self) -> None:
        """Raises Finding when it has ended, or soon will: a certificate that nobody renews stops its service."""
        left = self._found.ends - datetime.now(UTC)
        if left <= timedelta(0):
            raise Finding(f"the certificate ended on {self._found.ends:%Y-%m-%d}, and callers refuse it")
        if left < (self._found.ends - self._found.begins) * _WARNS_AT:
            raise Finding(f"the certificate ends on {self._found.ends:%Y-%m-%d}")


@contextmanager
def _refused(variable: str) -> Iterator[None]:
    """What a file that is no use means to whoever set it. No text of the error goes on: a key may be in it."""
    try:
        yield
    except ssl.SSLError as error:
        raise CannotStart(variable, f"is of no use for TLS: {error.reason or 'no certificate or key'}") from error
    except OSError as error:
        raise CannotStart(variable, f"cannot be read: {error.strerror}") from error
    except (ValueError, x509.ExtensionNotFound) as error:
        raise CannotStart(variable, "holds no certificate that names its service, in PEM") from error
