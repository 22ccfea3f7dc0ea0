"""What an API key looks like: `sutaz_live_<public id>_<secret><checksum>`.

Every service reads it, so that a mistyped or invented key is refused where it arrives, without a query and without a
call. The prefix lets scanners find leaked keys; the secret has 196 bits.
"""

import re
import secrets
import string
import zlib

PREFIX = "sutaz_live_"
_ALPHABET = string.ascii_letters + string.digits
_ID_CHARS = 12
_SECRET_CHARS = 33  # log2(62) * 33 = 196 bits
_CHECKSUM_CHARS = 6  # 62**6 > 2**32
PREFIX_PATTERN = rf"^{PREFIX}[A-Za-z0-9]{{{_ID_CHARS}}}(_.*)?$"
"""What begins like a key of ours: at least as much of it as may be shown."""
_KEY = re.compile(
    rf"{PREFIX}([A-Za-z0-9]{{{_ID_CHARS}}})_([A-Za-z0-9]{{{_SECRET_CHARS}}})[A-Za-z0-9]{{{_CHECKSUM_CHARS}}}"
)


def generate() -> tuple[str, str, str]:
    """A fresh key: whole, its public id, its secret part."""
    public_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARS))
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_CHARS))
    body = f"{PREFIX}{public_id}_{secret}"
    return body + _checksum(body), public_id, secret


def parse(key: str) -> tuple[str, str] | None:
    """Public id and secret part; None for what cannot be a key of ours."""
    found = _KEY.fullmatch(key)  # the checksum alone is for whoever mistypes: anybody can make one
    if found is None or key[-_CHECKSUM_CHARS:] != _checksum(key[:-_CHECKSUM_CHARS]):
        return None
    return found[1], found[2]


def public_id_of(prefix: str) -> str:
    """The public id in text that matches `PREFIX_PATTERN`."""
    return prefix.removeprefix(PREFIX)[:_ID_CHARS]


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_CHARS):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
