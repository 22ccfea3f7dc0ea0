"""The ring of keys that sign access tokens: kept in the database, sealed, and the same for all replicas."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from jwt.algorithms import OKPAlgorithm
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.auth.models import SigningKey
from shared.db import Database
from shared.ids import new_id


@dataclass(frozen=True, slots=True)
class CurrentKey:
    """The key that signs now."""

    id: str
    private_key: Ed25519PrivateKey


class KeyRing:
    """Public keys for verifying, one private key for signing."""

    def __init__(self, current: CurrentKey, public_jwks: Mapping[str, dict[str, str]]) -> None:
        self.current = current
        self.public_jwks = dict(public_jwks)
        self._keys = {key_id: jwt.PyJWK.from_dict(dict(jwk)) for key_id, jwk in public_jwks.items()}

    @classmethod
    async def load(cls, database: Database, encryption_key: str) -> "KeyRing":
        """The ring in the database; the first replica to come makes the first key. Raises Unavailable."""
        seal = Fernet(encryption_key)
        async with database.transaction() as session:
            # Only one row may be current, so a replica that loses the race inserts nothing and reads the winner's.
            await session.execute(insert(SigningKey).values(**_new_key(seal)).on_conflict_do_nothing())
        async with database.session() as session:
            rows = (await session.scalars(select(SigningKey).order_by(SigningKey.id))).all()
        current = next(row for row in rows if row.retired_at is None)
        private_key = load_der_private_key(seal.decrypt(current.sealed_private_key), password=None)
        assert isinstance(private_key, Ed25519PrivateKey)  # noqa: S101 - we sealed it
        return cls(CurrentKey(current.id, private_key), {row.id: row.public_jwk for row in rows})

    async def find_key(self, key_id: str) -> jwt.PyJWK | None:
        """The public key, None when it is not ours (`shared.security.KeySource`)."""
        return self._keys.get(key_id)


def _new_key(seal: Fernet) -> dict[str, Any]:
    private_key = Ed25519PrivateKey.generate()
    key_id = new_id()
    jwk = OKPAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
    plain = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {
        "id": key_id,
        "public_jwk": {**jwk, "kid": key_id, "use": "sig", "alg": "EdDSA"},
        "sealed_private_key": seal.encrypt(plain),
        "created_at": datetime.now(UTC),
    }
