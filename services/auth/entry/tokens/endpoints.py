"""`/auth/token`, `/auth/logout`, `/auth/revoke`, `/auth/introspect`, and the delegation that services ask for."""

from fastapi import APIRouter, Depends, Response

from services.auth.entry.issuing.schemas import InternalToken
from services.auth.entry.tokens.dependencies import Basic, Delegate, Grants, Introspector, Sessions, Tokens
from services.auth.entry.tokens.route import OAuthRoute
from services.auth.entry.tokens.schemas import Delegation, Introspection, TokenForm, TokenHintForm, TokenRead
from services.auth.errors import (
    DelegateRefused,
    FieldRepeated,
    GrantIncomplete,
    GrantUnsupported,
    RefreshTokenRefused,
    ScopeNotAllowed,
    SourceHeldOff,
    WrongClient,
    WrongCredentials,
)
from services.auth.trust.dependencies import Oneself, Source
from shared.door import GuardedRoute, stores_nothing
from shared.errors import responses
from shared.limits import limited_by_source

router = APIRouter(prefix="/api/v1/auth", tags=["tokens"], route_class=OAuthRoute)
internal = APIRouter(prefix="/internal/tokens", route_class=GuardedRoute, include_in_schema=False)


@router.post(
    "/token",
    operation_id="auth_token",
    summary="Get tokens",
    response_model=TokenRead,
    response_model_exclude_none=True,
    responses=responses(
        GrantIncomplete,
        GrantUnsupported,
        FieldRepeated,
        WrongCredentials,
        SourceHeldOff,
        RefreshTokenRefused,
        WrongClient,
        ScopeNotAllowed,
    ),
    dependencies=[Depends(limited_by_source)],
)
@stores_nothing  # of itself: grants that store a session ask for room
async def token(form: TokenForm, basic: Basic, grants: Grants, source: Source) -> TokenRead:
    """OAuth 2 token endpoint.

    `password` takes `username` and `password`. `refresh_token` takes the last one given and gives the next: the same
    one to all who ask within ten seconds, while nobody has used it; presenting the old one after that ends the session.
    `client_credentials` takes an API key: how it begins as `client_id`, the whole key as `client_secret`.
    """
    return TokenRead.of(await grants.grant(form, basic, source))


@router.post(
    "/logout",
    operation_id="auth_logout",
    summary="End this session",
    status_code=204,
    responses=responses(DelegateRefused),
)
@stores_nothing
async def logout(caller: Oneself, sessions: Sessions, source: Source) -> None:
    """End the session of this access token: its refresh tokens work no more, its access tokens within seconds.

    Tasks that were submitted in it end with it.
    """
    await sessions.log_out(caller, source)


@router.post(
    "/revoke",
    operation_id="auth_revoke",
    summary="Revoke a token",
    responses={200: {"content": None}, **responses(FieldRepeated)},
    dependencies=[Depends(limited_by_source)],
)
@stores_nothing
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
    responses=responses(FieldRepeated, DelegateRefused),
    response_model_exclude_none=True,
)
@stores_nothing
async def introspect(form: TokenHintForm, caller: Introspector, tokens: Tokens, source: Source) -> Introspection:
    """OAuth 2 introspection (RFC 7662), for services and administrators."""
    return Introspection.of(await tokens.introspect(caller, form.token.get_secret_value(), source))


@internal.post("/delegate", response_model=InternalToken)
@stores_nothing
async def delegate(body: Delegation, service: Delegate, tokens: Tokens) -> InternalToken:
    """A token by which a service acts for a user later on."""
    return InternalToken.of(await tokens.delegate(service, body))
