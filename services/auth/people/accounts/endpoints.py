"""`/auth/register`, `/auth/me` and `/auth/password`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from services.auth.dependencies import Accounts
from services.auth.errors import EmailTaken, PasswordTooCommon, WrongCurrentPassword
from services.auth.people.accounts.schemas import AccountRead, PasswordChange, ProfileRead, ProfileUpdate, Registration
from services.auth.people.accounts.service import Profile
from services.auth.people.tenants.schemas import TenantRead
from services.auth.trust.dependencies import Source
from shared.door import GuardedRoute, authenticate, requires
from shared.errors import PreconditionFailed, Unauthenticated, responses
from shared.identity import Caller
from shared.limits import limited_by_source
from shared.resources import IfMatch, etag

router = APIRouter(prefix="/auth", tags=["accounts"], route_class=GuardedRoute)
Me = Annotated[Caller, requires("auth:profile")]


@router.post(
    "/register",
    operation_id="auth_register",
    summary="Create an account",
    status_code=201,
    response_model=AccountRead,
    responses=responses(Unauthenticated, EmailTaken, PasswordTooCommon),
    dependencies=[Depends(limited_by_source)],
)
async def register(body: Registration, request: Request, accounts: Accounts, source: Source) -> AccountRead:
    """Create an account and the tenant that will own its records. No caller is needed.

    An address that has an account already gets the same answer, and nothing is made: nobody learns here who is
    registered. Only an administrator's token is told (409).
    """
    return await accounts.register(body, source, tells_taken=await _is_admin(request))


async def _is_admin(request: Request) -> bool:
    has_credential = "authorization" in request.headers or "x-api-key" in request.headers
    return has_credential and (await authenticate(request)).allows("admin")


@router.get("/me", operation_id="auth_me", summary="Who am I", response_model=ProfileRead)
async def me(caller: Me, accounts: Accounts, response: Response) -> ProfileRead:
    """The caller's own account in the tenant their token acts in, and the tenants they may act in."""
    return _read(await accounts.get(caller), response)


@router.patch(
    "/me",
    operation_id="auth_update_me",
    summary="Change my profile",
    response_model=ProfileRead,
    responses=responses(PreconditionFailed),
)
async def update_me(
    body: ProfileUpdate, caller: Me, accounts: Accounts, response: Response, if_match: IfMatch = None
) -> ProfileRead:
    """Change one's own name."""
    return _read(await accounts.rename(caller, body.name, if_match), response)


@router.post(
    "/password",
    operation_id="auth_change_password",
    summary="Change my password",
    status_code=204,
    responses=responses(WrongCurrentPassword, PasswordTooCommon),
)
async def change_password(body: PasswordChange, caller: Me, accounts: Accounts, source: Source) -> None:
    """Change one's own password, which ends every other session. API keys go on."""
    await accounts.change_password(caller, body, source)


def _read(profile: Profile, response: Response) -> ProfileRead:
    principal, user = profile.principal, profile.principal.user
    response.headers["ETag"] = etag(user.version)
    return ProfileRead(
        id=user.id,
        email=user.email,
        name=user.name,
        tenant_id=principal.tenant_id,
        created_at=user.created_at,
        role=principal.role,
        is_admin=user.is_admin,
        tenants=[TenantRead.model_validate(tenant) for tenant in profile.tenants],
    )
