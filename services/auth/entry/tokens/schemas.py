"""Tokens on the wire."""

import time
from typing import Annotated, Literal, Self

from fastapi import Form
from pydantic import Field, SecretStr

from services.auth.entry.issuing.pair import TokenPair
from services.auth.entry.issuing.schemas import Scope
from services.auth.entry.sessions.repository import Link
from services.auth.people.accounts.schemas import Email
from services.auth.people.passwords.schemas import TypedPassword
from shared.identity import Caller
from shared.schemas import Id, RequestModel, ResponseModel, SecretModel, Text

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
    username: Annotated[Email | None, Field(description="e-mail address, with `password`")] = None
    password: TypedPassword | None = None
    tenant_id: Annotated[
        Id | None, Field(description="with `password`: which of one's tenants; one's own if absent")
    ] = None
    refresh_token: Annotated[SecretStr | None, Field(max_length=256, description="with `refresh_token`")] = None
    client_id: Annotated[
        Text | None,
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


class TokenRead(SecretModel):
    """An access token, and for a session the refresh token for the next one."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the type's name
    expires_in: int = Field(description="seconds")
    refresh_token: str | None = Field(default=None, description="for the next tokens; absent for `client_credentials`")
    scope: str

    @classmethod
    def of(cls, pair: TokenPair) -> Self:
        return cls(
            access_token=pair.access.token,
            expires_in=pair.access.expires_in,
            refresh_token=pair.refresh_token,
            scope=" ".join(sorted(pair.access.scopes)),
        )


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

    @classmethod
    def of(cls, found: Caller | Link | None) -> Self:
        """Of an access token, a refresh token, or none that is good."""
        match found:
            case Caller():
                return cls._of_caller(found)
            case Link():
                return cls._of_link(found)
            case None:
                return cls(active=False)

    @classmethod
    def _of_caller(cls, caller: Caller) -> Self:
        return cls(
            active=caller.expires_at > time.time(),
            token_type="access_token",  # noqa: S106 - the type's name
            scope=" ".join(sorted(caller.scopes)),
            sub=caller.subject,
            tid=caller.tenant_id,
            jti=caller.token_id,
            iat=int(caller.issued_at),
            exp=int(caller.expires_at),
            act=caller.actor,
        )

    @classmethod
    def _of_link(cls, link: Link) -> Self:
        return cls(
            active=True,
            token_type="refresh_token",  # noqa: S106 - the type's name
            scope=link.session.scope,
            sub=link.session.user_id,
            tid=link.session.tenant_id,
            jti=link.token.id,
            iat=int(link.token.created_at.timestamp()),
            exp=int(link.session.expires_at.timestamp()),
        )


class Delegation(RequestModel):
    """Whom a service wants to act for."""

    subject: Id
    tenant_id: Id
    scopes: list[Scope] = Field(min_length=1, max_length=32)
    key_id: Id | None = Field(default=None, description="the API key that the user handed the work over with")
    session_id: Id | None = Field(default=None, description="or the session that they did it in")
