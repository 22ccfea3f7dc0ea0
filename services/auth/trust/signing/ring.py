"""The ring of keys that sign access tokens: kept in the database, sealed, and the same for all replicas."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from jwt.algorithms import OKPAlgorithm

from services.auth.models import SigningKey
from services.auth.trust.signing.repository import SigningKeyRepository
from shared.postgres import Database
from shared.schemas import new_id


@dataclass(frozen=True, slots=True)
class CurrentKey:
    """The key that signs now."""

    id: str
    private_key: Ed25519PrivateKey


class KeyRing:
    """Public keys for verifying (next, current and previous), one private key for signing."""

    current: CurrentKey

    def __init__(self, database: Database, encryption_key: str) -> None:
        self._database = database
        self._seal = Fernet(encryption_key)
        self.public_jwks: dict[str, dict[str, str]] = {}
        self._keys: dict[str, jwt.PyJWK] = {}

    async def load(self) -> "KeyRing":
        """Read the ring; the first replica to come makes the first two keys. Raises Unavailable."""
        async with self._database.transaction() as session:
            repository = SigningKeyRepository(session)
            await repository.add_unless_there(new_key(self._seal, is_current=True))
            await repository.add_unless_there(new_key(self._seal, is_current=False))
        await self.reload()
        return self

    async def reload(self) -> None:
        """Read what another process may have changed. Raises Unavailable."""
        async with self._database.session() as session:
            rows = await SigningKeyRepository(session).list_published()
        self._take(rows)

    async def learn(self, key_ids: Sequence[str]) -> None:
        """Reload when keys are published that are not known here (`shared.identity.feed.KeyLearner`)."""
        if not self._keys.keys() >= set(key_ids):
            await self.reload()

    async def find_key(self, key_id: str) -> jwt.PyJWK | None:
        """The public key, None when it is not ours (`shared.identity.KeySource`)."""
        return self._keys.get(key_id)

    def make_next(self) -> dict[str, Any]:
        """A key that is to be published."""
        return new_key(self._seal, is_current=False)

    def _take(self, rows: Sequence[SigningKey]) -> None:
        current = next(row for row in rows if row.activated_at and not row.retired_at)
        private_key = load_der_private_key(self._seal.decrypt(current.sealed_private_key), password=None)
        assert isinstance(private_key, Ed25519PrivateKey)  # noqa: S101 - we sealed it
        self.public_jwks = {row.id: row.public_jwk for row in rows}
        self._keys = {row.id: jwt.PyJWK.from_dict(dict(row.public_jwk)) for row in rows}
        self.current = CurrentKey(current.id, private_key)


def new_key(seal: Fernet, *, is_current: bool) -> dict[str, Any]:
    """The row of a fresh key pair."""
    private_key = Ed25519PrivateKey.generate()
    key_id, now = new_id(), datetime.now(UTC)
    jwk = OKPAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
    plain = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {
        "id": key_id,
        "public_jwk": {**jwk, "kid": key_id, "use": "sig", "alg": "EdDSA"},
        "sealed_private_key": seal.encrypt(plain),
        "created_at": now,
        "activated_at": now if is_current else None,
    }
