"""Access tokens: what one says of its caller, and how each service verifies it by itself.

Keys are cached from auth and so is the list of what was revoked; nobody is asked for a token that was seen before.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
from cachetools import TTLCache

from shared.errors import MissingScope, Unauthenticated
from shared.revocations import (
    Revocations,
    key_subject,
    member_subject,
    session_subject,
    token_subject,
    user_subject,
)
from shared.scopes import is_covered, narrowed

ALGORITHM = "EdDSA"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068's media type
SERVICE_PREFIX = "service:"
"""How the `sub` of a token begins that stands for a service and for no user."""
_MAX_TOKEN_CHARS = 8192
_REQUIRED_CLAIMS = ["exp", "iat", "iss", "aud", "sub", "tid", "scope", "jti"]
_CACHE_SECONDS = 60
_LEEWAY_SECONDS = 5  # for clocks that differ
_CACHED = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified identity. `token` is what to forward when calling another service for this caller."""

    subject: str
    tenant_id: str
    scopes: frozenset[str]
    token_id: str
    issued_at: float
    expires_at: float
    token: str
    actor: str | None = None
    session_id: str | None = None
    key_id: str | None = None

    @property
    def owner(self) -> str:
        """The user, unmistakable over all tenants."""
        return f"{self.tenant_id}:{self.subject}"

    def allows(self, scope: str, object_id: str | None = None) -> bool:
        """Whether `scope` was granted: for everything, or for the one object."""
        if scope in self.scopes:
            return True
        return is_covered(scope if object_id is None else narrowed(scope, object_id), self.scopes)

    def require(self, scope: str, object_id: str | None = None) -> None:
        """Raises MissingScope."""
        if not self.allows(scope, object_id):
            raise MissingScope(scope)

    @property
    def revocation_subjects(self) -> Iterator[str]:
        """Everything by which this token can be revoked (`shared.revocations.Identified`)."""
        yield token_subject(self.token_id)
        yield user_subject(self.subject)
        yield member_subject(self.tenant_id, self.subject)
        if self.session_id:
            yield session_subject(self.session_id)
        if self.key_id:
            yield key_subject(self.key_id)


class KeySource(Protocol):
    """Where public signing keys come from."""

    async def find_key(self, key_id: str) -> jwt.PyJWK | None:
        """The key, or None when auth does not know it."""


class RevocationSource(Protocol):
    """Where the list of what was revoked comes from."""

    async def current(self) -> Revocations:
        """The list, followed in the background. Raises Unavailable when it was never to be had."""


class TokenVerifier:
    """Verifies access tokens: one algorithm, one issuer, one audience, one type; every failure looks the same."""

    def __init__(self, keys: KeySource, revocations: RevocationSource, *, issuer: str, audience: str) -> None:
        self._keys, self._revocations = keys, revocations
        self._issuer = issuer
        self._audience = audience
        self._verified: TTLCache[str, Caller] = TTLCache(maxsize=_CACHED, ttl=_CACHE_SECONDS)

    async def verify(self, token: str) -> Caller:
        """Raises Unauthenticated for anything but a valid token, Unavailable when no keys or list could be had."""
        try:
            caller = self._verified[token]  # and no `get`, which looks twice
        except KeyError:
            caller = self._verified[token] = await self._verify(token)
        if not await self.is_valid(caller):
            raise Unauthenticated
        return caller

    async def is_valid(self, caller: Caller) -> bool:
        """Whether a token that was verified before is still good: neither over nor revoked. Raises Unavailable."""
        return caller.expires_at + _LEEWAY_SECONDS > time.time() and not (await self._revocations.current()).covers(
            caller
        )

    async def _verify(self, token: str) -> Caller:
        if len(token) > _MAX_TOKEN_CHARS:
            raise Unauthenticated
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise Unauthenticated from error
        if header.get("alg") != ALGORITHM or str(header.get("typ")).lower() != TOKEN_TYPE or "crit" in header:
            raise Unauthenticated
        key = await self._keys.find_key(str(header.get("kid", "")))
        if key is None:
            raise Unauthenticated
        return self._decode(token, key)

    def _decode(self, token: str, key: jwt.PyJWK) -> Caller:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": _REQUIRED_CLAIMS},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated from error
        return _caller_of(claims, token)


def _caller_of(claims: Mapping[str, Any], token: str) -> Caller:
    actor = claims.get("act")
    return Caller(
        subject=str(claims["sub"]),
        tenant_id=str(claims["tid"]),
        scopes=frozenset(str(claims["scope"]).split()),
        token_id=str(claims["jti"]),
        issued_at=float(claims["iat"]),
        expires_at=float(claims["exp"]),
        token=token,
        actor=str(actor["sub"]) if isinstance(actor, Mapping) else None,
        session_id=claims.get("sid"),
        key_id=claims.get("key_id"),
    )
