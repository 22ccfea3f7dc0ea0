"""Makes access tokens: JWTs of RFC 9068 (`at+jwt`), signed EdDSA."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import jwt

from services.auth.models import User
from services.auth.settings import Settings
from services.auth.tokens.keys import KeyRing
from shared.ids import new_id
from shared.security import ALGORITHM, TOKEN_TYPE


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed token and its life in seconds."""

    token: str
    expires_in: int
    scopes: frozenset[str]


class TokenIssuer:
    def __init__(self, keys: KeyRing, settings: Settings) -> None:
        self._keys, self._settings = keys, settings

    def for_session(self, user: User, scopes: Iterable[str], family_id: str) -> AccessToken:
        """A token of a login session; `sid` names the session that a logout ends."""
        return self._issue(user, scopes, self._settings.access_token_seconds, {"sid": family_id})

    def for_api_key(self, user: User, scopes: Iterable[str], key_id: str) -> AccessToken:
        """What an API key is exchanged for."""
        return self._issue(user, scopes, self._settings.internal_token_seconds, {"key_id": key_id})

    def for_service(self, user: User, scopes: Iterable[str], service: str) -> AccessToken:
        """A token by which `service` acts for the user (RFC 8693's `act`)."""
        return self._issue(user, scopes, self._settings.internal_token_seconds, {"act": {"sub": f"service:{service}"}})

    def _issue(self, user: User, scopes: Iterable[str], seconds: int, extra: dict[str, object]) -> AccessToken:
        now = int(time.time())
        granted = frozenset(scopes)
        claims = {
            "iss": self._settings.auth_issuer,
            "aud": self._settings.auth_audience,
            "sub": user.id,
            "tid": user.tenant_id,
            "scope": " ".join(sorted(granted)),
            "iat": now,
            "exp": now + seconds,
            "jti": new_id(),
            **extra,
        }
        current = self._keys.current
        headers = {"typ": TOKEN_TYPE, "kid": current.id}
        return AccessToken(jwt.encode(claims, current.private_key, ALGORITHM, headers), seconds, granted)
