"""Access tokens: what one says of its caller, and how each service verifies it by itself.

Keys are cached from auth and so is the list of what was revoked; nobody is asked for a token that was seen before.
"""

import time
from typing import Protocol

import jwt
from cachetools import TTLCache

from shared.errors import Unauthenticated
from shared.identity.caller import Caller, caller_from
from shared.identity.revocations import Revocations

ALGORITHM = "EdDSA"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068's media type
_MAX_TOKEN_CHARS = 8192
_REQUIRED_CLAIMS = ["exp", "iat", "iss", "aud", "sub", "tid", "scope", "jti"]
_CACHE_SECONDS = 60
_LEEWAY_SECONDS = 5  # for clocks that differ; none at the end of an API key, whose owner was told a moment
_CACHED = 10_000


class TokenForged(Unauthenticated):
    """Names a key of ours and is not signed with it. Callers are told what they are told of any bad token."""

    def __init__(self, key_id: str) -> None:
        super().__init__()
        self.key_id = key_id


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
        """Raises Unauthenticated for anything but a valid token, Unavailable when no keys or list could be had.

        TokenForged, which is one of the first, where only somebody who made it up could have sent it.
        """
        try:
            caller = self._verified[token]  # and no `get`, which looks twice
        except KeyError:
            caller = self._verified[token] = await self._verify(token)
        if not await self.is_valid(caller):
            raise Unauthenticated
        return caller

    async def is_valid(self, caller: Caller) -> bool:
        """Whether a token that was verified before is still good: neither over nor revoked. Raises Unavailable."""
        leeway_seconds = 0 if caller.key_id else _LEEWAY_SECONDS
        if caller.expires_at + leeway_seconds <= time.time():
            return False
        return not (await self._revocations.current()).covers(caller)

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
        except jwt.InvalidSignatureError as error:
            raise TokenForged(str(key.key_id)) from error
        except jwt.PyJWTError as error:
            raise Unauthenticated from error
        return caller_from(claims, token)
