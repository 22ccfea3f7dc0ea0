"""Tokens on the wire."""

from typing import Annotated, Literal

from fastapi import Form
from pydantic import Field, SecretStr

from shared.ids import Id
from shared.schemas import RequestModel, ResponseModel

Scope = Annotated[str, Field(pattern=r"^[a-z]+(:[a-z*]+)?$", max_length=64)]


class TokenRequest(RequestModel):
    """OAuth 2's token request, as a form."""

    grant_type: Literal["password", "refresh_token"] = Field(description="which grant")
    username: Annotated[str | None, Field(max_length=254, description="e-mail address, with `password`")] = None
    password: Annotated[SecretStr | None, Field(max_length=128)] = None
    refresh_token: Annotated[SecretStr | None, Field(max_length=256, description="with `refresh_token`")] = None
    scope: Annotated[str, Field(max_length=1024, description="space-separated; all the caller may have when empty")] = (
        ""
    )


TokenForm = Annotated[TokenRequest, Form()]


class TokenRead(ResponseModel):
    """An access token, and the refresh token for the next one."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the type's name
    expires_in: int = Field(description="seconds")
    refresh_token: str
    scope: str


class JsonWebKey(ResponseModel):
    """A public Ed25519 key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    use: Literal["sig"]
    alg: Literal["EdDSA"]


class JsonWebKeySet(ResponseModel):
    """The keys that verify our tokens (RFC 7517)."""

    keys: list[JsonWebKey]


class Delegation(RequestModel):
    """Whom a service wants to act for."""

    subject: Id
    tenant_id: Id
    scopes: list[Scope] = Field(min_length=1, max_length=32)


class InternalToken(ResponseModel):
    """A short token for a service."""

    access_token: str
    expires_in: int
