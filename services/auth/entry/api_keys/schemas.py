"""API keys on the wire."""

from typing import Annotated, Self

from pydantic import Field

from services.auth.entry.api_keys.domain import MadeApiKey
from services.auth.entry.issuing.schemas import Scope
from shared.identity import PREFIX_PATTERN
from shared.schemas import Id, Moment, RequestModel, ResponseModel, SecretModel, Text, UtcDatetime


class ApiKeyCreate(RequestModel):
    """A key for a program."""

    name: Annotated[Text, Field(min_length=1, max_length=100, examples=["ci"])]
    scopes: list[Scope] = Field(
        min_length=1, max_length=32, description="at most the caller's own", examples=[["agents:read", "chat:write"]]
    )
    expires_at: Moment | None = Field(default=None, description="never when null", examples=["2999-01-01T00:00:00Z"])


class ApiKeyRead(ResponseModel):
    """A key without its secret."""

    id: Id
    name: str
    prefix: str = Field(description="how the key begins")
    scopes: list[str]
    expires_at: UtcDatetime | None
    created_at: UtcDatetime
    last_used_at: UtcDatetime | None = Field(description="to the minute; null before the first use")
    replaced_by: Id | None = Field(description="the key that took over when this one was rotated")


class ApiKeyRotation(RequestModel):
    """How the old key ends."""

    overlap_seconds: int = Field(
        default=3600,
        ge=0,
        le=7 * 86400,
        strict=True,
        description="how long the old key goes on; at 0 it ends now",
        examples=[3600],
    )


class ApiKeyCreated(ApiKeyRead, SecretModel):
    """A new key, shown this once."""

    key: str

    @classmethod
    def of(cls, made: MadeApiKey) -> Self:
        return cls(**ApiKeyRead.model_validate(made.row).model_dump(), key=made.key)


class ApiKeySearch(RequestModel):
    """A key that turned up somewhere, as much of it as there is."""

    prefix: str = Field(
        max_length=256,
        pattern=PREFIX_PATTERN,
        description="how the key begins; of a whole key the rest is not looked at, logged or kept",
        examples=["sutaz_live_Ab3dEf6hIj9k"],
    )


class ApiKeyFound(ApiKeyRead):
    """A key of anybody, whatever has become of it."""

    user_id: Id
    tenant_id: Id
    revoked_at: UtcDatetime | None


class KeyExchange(RequestModel):
    """What a service sends to learn who a key belongs to."""

    key: Text = Field(min_length=1, max_length=256)
