"""`/auth/password`: changing it, and the way back for who forgot it."""

from fastapi import APIRouter, Depends, Response

from services.auth.entry.passwords.dependencies import Forgotten, Passwords
from services.auth.entry.passwords.schemas import PasswordChange, PasswordForgotten, PasswordReset
from services.auth.errors import DelegateRefused, PasswordTooCommon, ResetRefused, WrongCurrentPassword
from services.auth.trust.dependencies import Oneself, Source
from shared.door import GuardedRoute, IdempotencyKeyRefused, KeylessRoute
from shared.errors import responses
from shared.limits import limited_by_source

router = APIRouter(prefix="/api/v1/auth", tags=["accounts"], route_class=GuardedRoute)
forgetting = APIRouter(prefix="/api/v1/auth/password", tags=["accounts"], route_class=KeylessRoute)


@router.post(
    "/password",
    operation_id="auth_change_password",
    summary="Change my password",
    status_code=204,
    responses=responses(WrongCurrentPassword, PasswordTooCommon, DelegateRefused),
)
async def change_password(body: PasswordChange, caller: Oneself, passwords: Passwords, source: Source) -> None:
    """Change one's own password, which ends every other session. API keys go on."""
    await passwords.change(caller, body, source)


@forgetting.post(
    "/forgot",
    operation_id="auth_forgot_password",
    summary="Ask for a way back",
    status_code=202,
    responses={
        202: {"content": None, "description": "whether or not there is such an account"},
        **responses(IdempotencyKeyRefused),
    },
    dependencies=[Depends(limited_by_source)],
)
async def forgot(body: PasswordForgotten, forgotten: Forgotten, source: Source) -> Response:
    """Send a letter with a token that lets its reader choose another password, for thirty minutes and once.

    The answer is the same whether or not there is such an account. An address gets six such letters an hour, three of
    them asked for from one source; one that was never proved gets none: register with it again. Without a mail server
    this answers 503.
    """
    await forgotten.forgot(body.email, source)
    return Response(status_code=202)


@forgetting.post(
    "/reset",
    operation_id="auth_reset_password",
    summary="Choose another password",
    status_code=204,
    responses=responses(ResetRefused, PasswordTooCommon, IdempotencyKeyRefused),
    dependencies=[Depends(limited_by_source)],
)
async def reset(body: PasswordReset, forgotten: Forgotten, source: Source) -> None:
    """Choose another password with the token of the letter. No caller is needed.

    It ends every session of the account, and the wait that wrong passwords brought upon it. API keys go on, unless
    `revoke_api_keys` says otherwise.
    """
    await forgotten.reset(body, source)
