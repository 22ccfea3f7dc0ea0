"""What several ways in have in common on the wire."""

from typing import Annotated, Self

from pydantic import Field

from services.auth.entry.issuing.issuer import AccessToken
from shared.identity import SCOPE_PATTERN
from shared.schemas import SecretModel

Scope = Annotated[str, Field(pattern=SCOPE_PATTERN, max_length=128)]


class InternalToken(SecretModel):
    """A short token for a service."""

    access_token: str
    expires_in: int

    @classmethod
    def of(cls, access: AccessToken) -> Self:
        return cls(access_token=access.token, expires_in=access.expires_in)
