"""The form in which a key is kept: hashed, under a pepper that is not in the database."""

import hmac
from dataclasses import dataclass

from shared.identity import api_keys


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A fresh key: `key` is shown once, the rest is kept."""

    key: str
    public_id: str
    secret_hash: bytes


class KeyHasher:
    def __init__(self, pepper: str) -> None:
        self._pepper = pepper.encode()

    def make(self) -> NewApiKey:
        key, public_id, secret = api_keys.generate()
        return NewApiKey(key, public_id, self._hash(secret))

    def parse(self, key: str) -> tuple[str, bytes] | None:
        """The public id and the hash to compare; None for what cannot be a key of ours."""
        parsed = api_keys.parse(key)
        return (parsed[0], self._hash(parsed[1])) if parsed else None

    def _hash(self, secret: str) -> bytes:
        # HMAC-SHA-256: the secret is random, so a slow hash would only cost every request.
        return hmac.digest(self._pepper, secret.encode(), "sha256")
