"""Who is calling: every service verifies tokens itself, with keys cached from auth, and demands a scope per route.

The gateway is not the trust point, and identity headers mean nothing here. An API key is exchanged at auth for the same
kind of token a login gives, so everything after this file sees one kind of caller.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
from cachetools import TTLCache
from fastapi import Request, Security
from fastapi.security import OAuth2PasswordBearer, SecurityScopes

from shared.errors import MissingScope, NotFound, ServiceError, Unauthenticated, Unavailable
from shared.http import ServiceClient

ALGORITHM = "EdDSA"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068's media type
_MAX_TOKEN_CHARS = 8192
_REQUIRED_CLAIMS = ["exp", "iat", "iss", "aud", "sub", "tid", "scope", "jti"]
_CACHE_SECONDS = 60  # a revocation is seen everywhere within this
_KEYS_SECONDS = 300
_REFETCH_SECONDS = 60  # unknown key ids must not let a caller make us hammer auth


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified identity. `token` is what to forward when calling another service for this caller."""

    subject: str
    tenant_id: str
    scopes: frozenset[str]
    token_id: str
    expires_at: float
    token: str
    actor: str | None = None
    session_id: str | None = None

    def allows(self, scope: str) -> bool:
        """Whether `scope` was granted, by name or by its resource's wildcard (`agents:*`)."""
        return scope in self.scopes or f"{scope.partition(':')[0]}:*" in self.scopes

    def require(self, scope: str) -> None:
        """Raises MissingScope."""
        if not self.allows(scope):
            raise MissingScope(scope)


class KeySource(Protocol):
    """Where public signing keys come from."""

    async def find_key(self, key_id: str) -> jwt.PyJWK | None:
        """The key, or None when auth does not know it."""


class RemoteKeys:
    """auth's JWKS, cached; stale keys serve while auth is away."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")

    async def find_key(self, key_id: str) -> jwt.PyJWK | None:
        """Raises Unavailable when auth was never reached."""
        now = time.monotonic()
        known = self._keys.get(key_id)
        stale = now - self._fetched_at > _KEYS_SECONDS
        if (known and not stale) or (self._keys and now - self._tried_at < _REFETCH_SECONDS):
            return known
        self._tried_at = now
        try:
            await self._fetch()
        except ServiceError:
            if not self._keys:
                raise
        return self._keys.get(key_id)

    async def _fetch(self) -> None:
        answer = await self._client.call("auth", "GET", "/api/v1/auth/jwks.json", timeout_seconds=3)
        self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(answer.json()).keys if key.key_id}
        self._fetched_at = time.monotonic()


class TokenVerifier:
    """Verifies access tokens: one algorithm, one issuer, one audience, one type; every failure looks the same."""

    def __init__(self, keys: KeySource, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._verified: TTLCache[str, Caller] = TTLCache(maxsize=10_000, ttl=_CACHE_SECONDS)

    async def verify(self, token: str) -> Caller:
        """Raises Unauthenticated for anything but a valid token, Unavailable when no key set could be had."""
        cached = self._verified.get(token)
        if cached and cached.expires_at > time.time():
            return cached
        caller = await self._verify(token)
        self._verified[token] = caller
        return caller

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
                leeway=5,
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
        expires_at=float(claims["exp"]),
        token=token,
        actor=str(actor["sub"]) if isinstance(actor, Mapping) else None,
        session_id=claims.get("sid"),
    )


class ApiKeyExchange(Protocol):
    """Turns an API key into an access token."""

    async def exchange(self, api_key: str) -> str:
        """Raises Unauthenticated for a key that is unknown, revoked or expired."""


class RemoteApiKeys:
    """Exchanges keys at auth and keeps the token for at most a minute, which bounds how long a revoked key works."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._tokens: TTLCache[bytes, str] = TTLCache(maxsize=10_000, ttl=_CACHE_SECONDS)

    async def exchange(self, api_key: str) -> str:
        digest = hashlib.sha256(api_key.encode()).digest()
        token = self._tokens.get(digest)
        if token is None:
            token = self._tokens[digest] = await self._exchange(api_key)
        return token

    async def _exchange(self, api_key: str) -> str:
        try:
            answer = await self._client.call(
                "auth", "POST", "/internal/api-keys/exchange", json={"key": api_key}, timeout_seconds=3
            )
        except NotFound as error:  # an auth of another version: not the caller's fault
            raise Unavailable("auth") from error
        return str(answer.json()["access_token"])


class Authenticator:
    """The door: reads the credential of a request and answers who it is."""

    def __init__(self, verifier: TokenVerifier, api_keys: ApiKeyExchange) -> None:
        self._verifier = verifier
        self._api_keys = api_keys

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Raises Unauthenticated without a valid credential."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return await self._verifier.verify(token.strip())
        if not scheme and (api_key := headers.get("x-api-key")) and len(api_key) <= 256:
            return await self._verifier.verify(await self._api_keys.exchange(api_key))
        raise Unauthenticated


async def authenticate(request: Request) -> Caller:
    """The caller of this request, worked out once however often it is asked for."""
    # In the scope, not in `request.state`: some servers share one state among all requests.
    known: Caller | None = request.scope.get("sutazai.caller")
    if known is None:
        authenticator: Authenticator = request.state.platform.authenticator
        known = request.scope["sutazai.caller"] = await authenticator.authenticate(request.headers)
    return known


class CallerScheme(OAuth2PasswordBearer):
    """The caller, holding every scope the route declares, and its entry in the OpenAPI document, as one dependency."""

    async def __call__(self, request: Request, required: SecurityScopes) -> Caller:  # type: ignore[override]
        """Raises Unauthenticated, MissingScope."""
        caller = await authenticate(request)
        for scope in required.scopes:
            caller.require(scope)
        return caller


BEARER, API_KEY = "bearer", "apiKey"
API_KEY_SCHEME = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
_caller = CallerScheme(tokenUrl="/api/v1/auth/token", scheme_name=BEARER)


def requires(*scopes: str) -> Any:
    """`caller: Annotated[Caller, requires("agents:read")]` — the only way a route names its scope."""
    return Security(_caller, scopes=list(scopes))
