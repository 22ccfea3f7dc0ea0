"""The suite's own authority, and a certificate of it for each of its processes: made once, renewed in time, rotated.

Standard library and the program `openssl` only: `deploy/compose/make_secrets.py` makes those of containers with it, on
hosts that have no packages.
"""

import os
import secrets
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from local.errors import LocalError
from local.secrets import replace
from services.topology import SERVICES

PROCESSES: Final = (*SERVICES, "tasks-worker", "faiss", "portal")
"""Who shows a certificate."""
OwnerOf = Callable[[str], tuple[int, int]]
"""Of a process: the ids of the user and the group it runs as, who alone may read its key."""
AUTHORITY: Final = "tls_authority"
"""Whom to believe: the certificates of one authority, of two while they are rotated."""
AUTHORITY_KEY: Final = "tls_authority_key"
"""The authority that signs: its key and its certificate. No process is given it."""
AUTHORITY_DAYS: Final = 3650
DAYS: Final = 90
RENEWED_BELOW: Final = 1 / 3
_DAY_SECONDS = 86_400
_ONLY_OWNER = 0o600
_FOR_ALL = 0o044
"""On top of a mode: who reads an authority learns nothing that a handshake does not say."""
_NEW_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_CONFIGURATION: Final = """
[req]
distinguished_name = subject
prompt = no
[subject]
CN = {name}
[authority]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[process]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:{name},DNS:{name}.service.consul
"""


def certificate(directory: Path, process: str) -> Path:
    """The file with the certificate of `process`, and its key."""
    return directory / f"tls_{process}"


def put_missing(
    directory: Path, mode: int = _ONLY_OWNER, processes: Iterable[str] = PROCESSES, owner_of: OwnerOf | None = None
) -> int:
    """How many there were to make: what is missing, and what has less than a third of its life left.

    Each appears whole or not at all, and each key that is there is its owner's afterwards. `mode` is that of what
    processes are given. Raises LocalError without `openssl`.
    """
    believable = _believable(mode, owner_of)
    if missing := not (directory / AUTHORITY_KEY).exists():
        replace(directory / AUTHORITY_KEY, _new_authority(directory), _ONLY_OWNER)
    if missing or not (directory / AUTHORITY).exists():
        replace(directory / AUTHORITY, _certificates((directory / AUTHORITY_KEY).read_text()), believable)
    due = [name for name in processes if missing or _is_due(certificate(directory, name))]
    for name in due:
        replace(certificate(directory, name), _new_certificate(directory, name), mode, owner_of and owner_of(name))
    if owner_of:
        _hand_over(directory, processes, owner_of, believable)
    return len(due) + 2 * missing


def _believable(mode: int, owner_of: OwnerOf | None) -> int:
    """The mode of an authority: where each process is another user, all of them read it."""
    return mode | _FOR_ALL if owner_of else mode


def _hand_over(directory: Path, processes: Iterable[str], owner_of: OwnerOf, mode: int) -> None:
    """What an earlier version made, for processes that all ran as the one who made it; `mode` is the authority's."""
    (directory / AUTHORITY).chmod(mode)
    for name in processes:
        os.chown(certificate(directory, name), *owner_of(name))


def rotate(directory: Path, wait: Callable[[], None], mode: int = _ONLY_OWNER, owner_of: OwnerOf | None = None) -> None:
    """Have a new authority sign a new certificate for each process; `wait` returns when all have read the files again.

    The new one is believed beside the old before it signs, and the old one until all that it signed is gone, so nobody
    is refused meanwhile. May be repeated from the beginning, wherever it was interrupted. Raises LocalError.
    """
    authority, believable = _new_authority(directory), _believable(mode, owner_of)
    believed = (directory / AUTHORITY).read_text()
    replace(directory / AUTHORITY, _certificates(authority) + believed, believable)
    wait()
    replace(directory / AUTHORITY_KEY, authority, _ONLY_OWNER)
    for name in PROCESSES:
        replace(certificate(directory, name), _new_certificate(directory, name), mode, owner_of and owner_of(name))
    wait()
    replace(directory / AUTHORITY, _certificates(authority), believable)


def _is_due(path: Path) -> bool:
    if not path.exists():
        return True
    seconds = str(int(DAYS * RENEWED_BELOW * _DAY_SECONDS))
    return _openssl(["x509", "-checkend", seconds, "-noout", "-in", str(path)]).returncode != 0


def _new_authority(directory: Path) -> str:
    """Its key and its certificate. Each has a name of its own, or two of them could not be told apart."""
    with tempfile.TemporaryDirectory(dir=directory) as draft:
        place = Path(draft)
        configured = _configured(place, f"SutazAI inside {secrets.token_hex(4)}")
        made = ["-keyout", str(place / "key"), "-out", str(place / "certificate")]
        _made(["req", "-x509", *_NEW_KEY, *configured, "-extensions", "authority", "-days", str(AUTHORITY_DAYS), *made])
        return (place / "key").read_text() + (place / "certificate").read_text()


def _new_certificate(directory: Path, name: str) -> str:
    with tempfile.TemporaryDirectory(dir=directory) as draft:
        place, authority = Path(draft), str(directory / AUTHORITY_KEY)
        configured, request, made = _configured(place, name), str(place / "request"), str(place / "certificate")
        _made(["req", "-new", *_NEW_KEY, *configured, "-keyout", str(place / "key"), "-out", request])
        signed = ["-CA", authority, "-CAkey", authority, "-set_serial", f"0x{secrets.token_hex(16)}", "-sha256"]
        extended = ["-extfile", configured[1], "-extensions", "process", "-days", str(DAYS)]
        _made(["x509", "-req", "-in", request, *signed, *extended, "-out", made])
        return (place / "key").read_text() + Path(made).read_text()


def _configured(place: Path, name: str) -> list[str]:
    """The program's whole configuration, so that nothing of the host's has a say."""
    path = place / "configuration"
    path.write_text(_CONFIGURATION.format(name=name))
    return ["-config", str(path)]


def _certificates(text: str) -> str:
    """Of a PEM file, all that is no key."""
    begin = "-----BEGIN CERTIFICATE-----"
    return begin + text.partition(begin)[2]


def _made(arguments: Sequence[str]) -> None:
    answer = _openssl(arguments)
    if answer.returncode:
        raise LocalError(f"no certificate could be made: openssl {arguments[0]}: {answer.stderr.strip()}")


def _openssl(arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError as error:
        raise LocalError("the program openssl, which makes the certificates, is not installed") from error
