"""What an API key looks like: `sutaz_live_<public id>_<secret><checksum>`.

The prefix lets scanners find leaked keys; the checksum refuses a mistyped one without a query; the secret has 192 bits.
"""

import hmac
import secrets
import string
import zlib
from dataclasses import dataclass

_PREFIX = "sutaz_live_"
_ALPHABET = string.ascii_letters + string.digits
_ID_CHARS = 12
_SECRET_CHARS = 33  # log2(62) * 33 = 196 bits
_CHECKSUM_CHARS = 6  # 62**6 > 2**32
_CHARS = len(_PREFIX) + _ID_CHARS + 1 + _SECRET_CHARS + _CHECKSUM_CHARS


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A fresh key: `key` is shown once, the rest is kept."""

    key: str
    public_id: str
    secret_hash: bytes


class ApiKeyFormat:
    """Makes and reads keys; the hash is keyed with a pepper that is not in the database."""

    def __init__(self, pepper: str) -> None:
        self._pepper = pepper.encode()

    def make(self) -> NewApiKey:
        public_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARS))
        secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_CHARS))
        body = f"{_PREFIX}{public_id}_{secret}"
        return NewApiKey(body + _checksum(body), public_id, self.hash(secret))

    def parse(self, key: str) -> tuple[str, bytes] | None:
        """The public id and the hash to compare; None for what cannot be a key of ours."""
        body, checksum = key[:-_CHECKSUM_CHARS], key[-_CHECKSUM_CHARS:]
        if len(key) != _CHARS or not key.startswith(_PREFIX) or not key.isascii() or checksum != _checksum(body):
            return None
        public_id, _, secret = body.removeprefix(_PREFIX).partition("_")
        return public_id, self.hash(secret)

    def hash(self, secret: str) -> bytes:
        """HMAC-SHA-256: the secret is random, so a slow hash would only cost every request."""
        return hmac.digest(self._pepper, secret.encode(), "sha256")


def shown_prefix(public_id: str) -> str:
    """The part of a key that may be shown again."""
    return f"{_PREFIX}{public_id}"


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_CHARS):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
