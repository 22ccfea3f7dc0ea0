"""Makes access tokens: JWTs of RFC 9068 (`at+jwt`), signed EdDSA."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import jwt

from services.auth.people.accounts.principal import Principal
from services.auth.settings import Settings
from services.auth.trust.signing.ring import KeyRing
from shared.identity import ALGORITHM, SERVICE_PREFIX, TOKEN_TYPE
from shared.schemas import new_id

SYSTEM_TENANT = "system"
"""The tenant of services: owns nothing."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed token and its life in seconds."""

    token: str
    expires_in: int
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Origin:
    """The credential that a delegated token descends from and ends with; without one it rests on its user alone."""

    key_id: str | None = None
    session_id: str | None = None
    ends_at: datetime | None = None

    @property
    def claims(self) -> dict[str, str]:
        """What revoking the credential names."""
        named = {"key_id": self.key_id, "sid": self.session_id}
        return {name: value for name, value in named.items() if value}


class TokenIssuer:
    def __init__(self, keys: KeyRing, settings: Settings) -> None:
        self._keys, self._settings = keys, settings

    def for_session(
        self, principal: Principal, scopes: Iterable[str], session_id: str, ends_at: datetime | None = None
    ) -> AccessToken:
        """A token of a login session, none of a late hour outliving it; `sid` names the session that a logout ends."""
        extra = {"sid": session_id, "client_id": "user"}
        return self._for_user(principal, scopes, self._settings.access_token_seconds, extra, ends_at)

    def for_api_key(
        self, principal: Principal, scopes: Iterable[str], key_id: str, expires_at: datetime | None
    ) -> AccessToken:
        """What an API key stands for; never valid for longer than the key, so over at once in its last second."""
        seconds = self._settings.internal_token_seconds
        return self._for_user(principal, scopes, seconds, {"key_id": key_id, "client_id": key_id}, expires_at)

    def for_delegate(self, principal: Principal, scopes: Iterable[str], service: str, origin: Origin) -> AccessToken:
        """A token by which `service` acts for the user (RFC 8693's `act`); never valid for longer than its origin."""
        extra = {"act": {"sub": SERVICE_PREFIX + service}, "client_id": service, **origin.claims}
        return self._for_user(principal, scopes, self._settings.internal_token_seconds, extra, origin.ends_at)

    def for_service(self, service: str, scopes: Iterable[str]) -> AccessToken:
        """A token of a service itself. It stands for no user, so no route of a user's takes it."""
        seconds = self._settings.internal_token_seconds
        extra = {"client_id": service}
        return self._issue(SERVICE_PREFIX + service, SYSTEM_TENANT, scopes, seconds, extra, time.time())

    def _for_user(
        self,
        principal: Principal,
        scopes: Iterable[str],
        seconds: int,
        extra: Mapping[str, object],
        until: datetime | None = None,
    ) -> AccessToken:
        now = principal.at.timestamp()
        return self._issue(principal.user.id, principal.tenant_id, scopes, seconds, extra, now, until)

    def _issue(
        self,
        subject: str,
        tenant_id: str,
        scopes: Iterable[str],
        seconds: int,
        extra: Mapping[str, object],
        now: float,
        until: datetime | None = None,
    ) -> AccessToken:
        granted = frozenset(scopes)
        if until:
            seconds = max(0, min(seconds, int(until.timestamp()) - int(now)))
        claims = {
            "iss": self._settings.auth_issuer,
            "aud": self._settings.auth_audience,
            "sub": subject,
            "tid": tenant_id,
            "scope": " ".join(sorted(granted)),
            "iat": now,  # with its fraction: what ends all tokens up to now must spare those of the same second
            "exp": int(now) + seconds,
            "jti": new_id(),
            **extra,
        }
        current = self._keys.current
        headers = {"typ": TOKEN_TYPE, "kid": current.id}
        return AccessToken(jwt.encode(claims, current.private_key, ALGORITHM, headers), seconds, granted)
