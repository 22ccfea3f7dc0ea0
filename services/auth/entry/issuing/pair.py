"""What a grant gives."""

from dataclasses import dataclass

from services.auth.entry.issuing.issuer import AccessToken


@dataclass(frozen=True, slots=True)
class TokenPair:
    """An access token and, for a session, the refresh token of the next one."""

    access: AccessToken
    refresh_token: str | None
