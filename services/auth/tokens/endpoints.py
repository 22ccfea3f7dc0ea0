"""`/auth/token`, `/auth/logout`, `/auth/jwks.json`, and the delegation that services ask for."""

from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from services.auth.dependencies import Tokens
from services.auth.errors import RefreshTokenRefused, WrongClient, WrongCredentials
from services.auth.tokens.schemas import Delegation, InternalToken, JsonWebKeySet, TokenForm, TokenRead
from services.auth.tokens.service import TokenPair
from shared.errors import Invalid, responses
from shared.security import Caller, requires

router = APIRouter(prefix="/auth", tags=["tokens"])
internal = APIRouter(prefix="/tokens")
T = TypeVar("T")
_basic = HTTPBasic(auto_error=False)


@router.post(
    "/token",
    operation_id="auth_token",
    summary="Get tokens",
    response_model=TokenRead,
    responses=responses(WrongCredentials, RefreshTokenRefused),
)
async def token(form: TokenForm, tokens: Tokens, response: Response) -> TokenRead:
    """OAuth 2 token endpoint: `grant_type=password` with `username` and `password`, or `refresh_token`.

    A refresh token works once; presenting it again ends the session it belongs to.
    """
    response.headers["Cache-Control"] = "no-store"
    requested = frozenset(form.scope.split())
    if form.grant_type == "password":
        username, password = _required(form.username, "username"), _required(form.password, "password")
        return _read(await tokens.log_in(username, password.get_secret_value(), requested))
    refresh_token = _required(form.refresh_token, "refresh_token")
    return _read(await tokens.refresh(refresh_token.get_secret_value(), requested))


def _required(value: T | None, name: str) -> T:
    if value is None:
        raise Invalid.field(f"/{name}", "missing", f"This grant needs {name}.")
    return value


def _read(pair: TokenPair) -> TokenRead:
    return TokenRead(
        access_token=pair.access.token,
        expires_in=pair.access.expires_in,
        refresh_token=pair.refresh_token,
        scope=" ".join(sorted(pair.access.scopes)),
    )


@router.post("/logout", operation_id="auth_logout", summary="End this session", status_code=204)
async def logout(caller: Annotated[Caller, requires("auth:profile")], tokens: Tokens) -> None:
    """End the session this access token belongs to: its refresh tokens work no more."""
    if caller.session_id:
        await tokens.log_out(caller.subject, caller.session_id)


@router.get("/jwks.json", operation_id="auth_jwks", summary="Public keys", response_model=JsonWebKeySet)
async def jwks(request: Request, response: Response) -> dict[str, object]:
    """The public keys by which anyone can verify our access tokens (RFC 7517)."""
    response.headers["Cache-Control"] = "public, max-age=60"
    return {"keys": list(request.state.keys.public_jwks.values())}


@internal.post("/delegate", response_model=InternalToken)
async def delegate(
    body: Delegation, client: Annotated[HTTPBasicCredentials | None, Depends(_basic)], tokens: Tokens
) -> InternalToken:
    """A token by which a service acts for a user later on; the service proves itself with its client secret."""
    if client is None:
        raise WrongClient
    scopes = frozenset(body.scopes)
    token = await tokens.delegate(client.username, client.password, body.subject, body.tenant_id, scopes)
    return InternalToken(access_token=token.token, expires_in=token.expires_in)
