"""Tokens on the wire."""

from typing import Annotated, Literal

from fastapi import Form
from pydantic import Field, SecretStr

from services.auth.entry.issuing.schemas import Scope
from shared.schemas import Id, RequestModel, ResponseModel

Scopes = Annotated[
    str,
    Field(
        max_length=1024,
        pattern=r"^[a-z0-9:*_ -]*$",
        description="space-separated; all the caller may have when empty",
        examples=["agents:read chat:write"],
    ),
]
_Token = Annotated[SecretStr, Field(min_length=1, max_length=8192)]


class TokenRequest(RequestModel):
    """OAuth 2's token request, as a form."""

    grant_type: Literal["password", "refresh_token", "client_credentials"] = Field(description="which grant")
    username: Annotated[str | None, Field(max_length=254, description="e-mail address, with `password`")] = None
    password: Annotated[SecretStr | None, Field(max_length=128)] = None
    tenant_id: Annotated[
        Id | None, Field(description="with `password`: which of one's tenants; one's own if absent")
    ] = None
    refresh_token: Annotated[SecretStr | None, Field(max_length=256, description="with `refresh_token`")] = None
    client_id: Annotated[
        str | None,
        Field(
            max_length=128,
            description="with `client_credentials`, unless in a Basic header: a service's name, or how an API key "
            "begins; the other grants need no client and check none",
        ),
    ] = None
    client_secret: Annotated[
        SecretStr | None, Field(max_length=256, description="with `client_id`: the secret, or the whole API key")
    ] = None
    scope: Scopes = ""


TokenForm = Annotated[TokenRequest, Form()]


class TokenRead(ResponseModel):
    """An access token, and for a session the refresh token for the next one."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the type's name
    expires_in: int = Field(description="seconds")
    refresh_token: str | None = Field(default=None, description="works once; absent for `client_credentials`")
    scope: str


class TokenHint(RequestModel):
    """A token of either kind, as a form (RFC 7009, RFC 7662)."""

    token: _Token
    token_type_hint: Annotated[
        Literal["access_token", "refresh_token"] | None, Field(description="not needed: the two look different")
    ] = None
    client_id: Annotated[str | None, Field(max_length=128, description="not checked: the token is the proof")] = None


TokenHintForm = Annotated[TokenHint, Form()]


class Introspection(ResponseModel):
    """What a token is worth now (RFC 7662); of an inactive one nothing is said."""

    active: bool
    token_type: Literal["access_token", "refresh_token"] | None = None
    scope: str | None = None
    sub: str | None = None
    tid: str | None = Field(default=None, description="the tenant it acts in")
    jti: str | None = None
    iat: int | None = None
    exp: int | None = None
    act: str | None = Field(default=None, description="the service that acts for `sub`")


class Delegation(RequestModel):
    """Whom a service wants to act for."""

    subject: Id
    tenant_id: Id
    scopes: list[Scope] = Field(min_length=1, max_length=32)
