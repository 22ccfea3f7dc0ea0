"""`/auth/token`, `/auth/logout`, `/auth/revoke`, `/auth/introspect`, and the delegation that services ask for."""

from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from services.auth.dependencies import Logins, Sessions, Tokens
from services.auth.entry.issuing.issuer import AccessToken
from services.auth.entry.issuing.schemas import InternalToken
from services.auth.entry.logins.service import Credentials
from services.auth.entry.tokens.schemas import (
    Delegation,
    Introspection,
    TokenForm,
    TokenHintForm,
    TokenRead,
)
from services.auth.errors import (
    GrantIncomplete,
    RefreshTokenInUse,
    RefreshTokenRefused,
    ScopeNotAllowed,
    WrongClient,
    WrongCredentials,
)
from services.auth.trust.dependencies import Source
from services.auth.trust.scopes import DELEGATE, INTROSPECT
from shared.door import GuardedRoute, requires
from shared.errors import responses
from shared.identity import Caller
from shared.limits import limited_by_source

router = APIRouter(prefix="/auth", tags=["tokens"], route_class=GuardedRoute)
internal = APIRouter(prefix="/tokens", route_class=GuardedRoute)
T = TypeVar("T")
_parse_basic = HTTPBasic(auto_error=False)


async def _basic(request: Request) -> HTTPBasicCredentials | None:
    """A client's credentials, where it sent any. Raises WrongClient for what cannot be read."""
    try:
        return await _parse_basic(request)
    except HTTPException as error:
        raise WrongClient from error


# Not a security scheme of the document: most grants need no client, and none is refused for coming without.
Basic = Annotated[HTTPBasicCredentials | None, Depends(_basic)]


@router.post(
    "/token",
    operation_id="auth_token",
    summary="Get tokens",
    response_model=TokenRead,
    response_model_exclude_none=True,
    responses=responses(
        WrongCredentials, RefreshTokenRefused, RefreshTokenInUse, WrongClient, GrantIncomplete, ScopeNotAllowed
    ),
    dependencies=[Depends(limited_by_source)],
)
async def token(
    form: TokenForm, basic: Basic, logins: Logins, sessions: Sessions, tokens: Tokens, source: Source, answer: Response
) -> TokenRead:
    """OAuth 2 token endpoint.

    `password` takes `username` and `password`; `refresh_token` takes the last one given, which works once (presenting
    it again ends the session it belongs to); `client_credentials` takes an API key: how it begins as `client_id`, the
    whole key as `client_secret`.
    """
    answer.headers["Cache-Control"] = "no-store"
    requested = frozenset(form.scope.split())
    match form.grant_type:
        case "password":
            password = _needed(form.password, "password").get_secret_value()
            email = _needed(form.username, "username").strip().lower()
            pair = await logins.log_in(Credentials(email, password, requested, form.tenant_id, source))
            return _read(pair.access, pair.refresh_token)
        case "refresh_token":
            refresh_token = _needed(form.refresh_token, "refresh_token").get_secret_value()
            pair = await sessions.refresh(refresh_token, requested, source)
            return _read(pair.access, pair.refresh_token)
        case "client_credentials":
            client_id = basic.username if basic else _needed(form.client_id, "client_id")
            secret = basic.password if basic else _needed(form.client_secret, "client_secret").get_secret_value()
            return _read(await tokens.for_client(client_id, secret, requested))


def _needed(value: T | None, name: str) -> T:
    if value is None:
        raise GrantIncomplete(name)
    return value


def _read(access: AccessToken, refresh_token: str | None = None) -> TokenRead:
    return TokenRead(
        access_token=access.token,
        expires_in=access.expires_in,
        refresh_token=refresh_token,
        scope=" ".join(sorted(access.scopes)),
    )


@router.post("/logout", operation_id="auth_logout", summary="End this session", status_code=204)
async def logout(caller: Annotated[Caller, requires("auth:profile")], sessions: Sessions, source: Source) -> None:
    """End the session of this access token: its refresh tokens work no more, its access tokens within seconds."""
    await sessions.log_out(caller, source)


@router.post(
    "/revoke",
    operation_id="auth_revoke",
    summary="Revoke a token",
    responses={200: {"content": None}},
    dependencies=[Depends(limited_by_source)],
)
async def revoke(form: TokenHintForm, tokens: Tokens, source: Source) -> Response:
    """OAuth 2 revocation (RFC 7009): an access token alone, a refresh token with its session. Holding it is the proof.

    A token that is unknown or over answers 200 as well: it does not work any more, which is what was asked for.
    """
    await tokens.revoke(form.token.get_secret_value(), source)
    return Response(status_code=200)


@router.post(
    "/introspect",
    operation_id="auth_introspect",
    summary="What a token is worth",
    response_model=Introspection,
    response_model_exclude_none=True,
)
async def introspect(
    form: TokenHintForm, _caller: Annotated[Caller, requires(INTROSPECT)], tokens: Tokens
) -> Introspection:
    """OAuth 2 introspection (RFC 7662), for services and administrators."""
    return await tokens.introspect(form.token.get_secret_value())


@internal.post("/delegate", response_model=InternalToken)
async def delegate(body: Delegation, service: Annotated[Caller, requires(DELEGATE)], tokens: Tokens) -> InternalToken:
    """A token by which a service acts for a user later on."""
    token = await tokens.delegate(service, body.subject, body.tenant_id, frozenset(body.scopes))
    return InternalToken.of(token)
