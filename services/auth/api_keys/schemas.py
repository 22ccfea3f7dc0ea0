"""API keys on the wire."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from services.auth.tokens.schemas import Scope
from shared.ids import Id
from shared.schemas import RequestModel, ResponseModel, Text, UtcDatetime


class ApiKeyCreate(RequestModel):
    """A key for a program."""

    name: Annotated[Text, Field(min_length=1, max_length=100, examples=["ci"])]
    scopes: list[Scope] = Field(
        min_length=1, max_length=32, description="at most the caller's own", examples=[["agents:read", "chat:write"]]
    )
    expires_at: AwareDatetime | None = Field(
        default=None, description="never when null", examples=["2999-01-01T00:00:00Z"]
    )


class ApiKeyRead(ResponseModel):
    """A key without its secret."""

    id: Id
    name: str
    prefix: str = Field(description="how the key begins")
    scopes: list[str]
    expires_at: UtcDatetime | None
    created_at: UtcDatetime


class ApiKeyCreated(ApiKeyRead):
    """A new key, shown this once."""

    key: str


class KeyExchange(RequestModel):
    """What a service sends to learn who a key belongs to."""

    key: str = Field(min_length=1, max_length=256)
