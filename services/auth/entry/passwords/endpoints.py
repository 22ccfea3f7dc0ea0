"""`/auth/password`."""

from fastapi import APIRouter

from services.auth.entry.passwords.dependencies import Passwords
from services.auth.entry.passwords.schemas import PasswordChange
from services.auth.errors import DelegateRefused, PasswordTooCommon, WrongCurrentPassword
from services.auth.trust.dependencies import Oneself, Source
from shared.door import GuardedRoute
from shared.errors import responses

router = APIRouter(prefix="/auth", tags=["accounts"], route_class=GuardedRoute)


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
