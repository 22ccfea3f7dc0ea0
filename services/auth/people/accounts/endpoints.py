"""`/auth/register` and `/auth/me`."""

from fastapi import APIRouter, Depends, Request, Response

from services.auth.errors import DelegateRefused, EmailTaken, PasswordTooCommon
from services.auth.people.accounts.dependencies import Accounts
from services.auth.people.accounts.domain import NewAccount
from services.auth.people.accounts.schemas import AccountRead, ProfileRead, ProfileUpdate, Registration
from services.auth.trust.dependencies import Me, Oneself, Source
from services.auth.trust.in_person import recognised
from shared.door import GuardedRoute, IdempotencyKeyRefused, KeylessRoute
from shared.errors import PreconditionFailed, Unauthenticated, responses
from shared.identity import brings_credential
from shared.limits import limited_by_source
from shared.resources import IfMatch, describe

router = APIRouter(prefix="/api/v1/auth", tags=["accounts"], route_class=GuardedRoute)
registering = APIRouter(prefix="/api/v1/auth", tags=["accounts"], route_class=KeylessRoute)


@registering.post(
    "/register",
    operation_id="auth_register",
    summary="Create an account",
    status_code=201,
    response_model=AccountRead,
    responses=responses(Unauthenticated, EmailTaken, PasswordTooCommon, IdempotencyKeyRefused),
    dependencies=[Depends(limited_by_source)],
)
async def register(body: Registration, accounts: Accounts, request: Request, source: Source) -> NewAccount:
    """Create an account and the tenant that will own its records. No caller is needed.

    A letter with a token proves the address (`POST /auth/verify`). An address that has an account already gets the same
    answer, and nothing is made: nobody learns here who is registered, but whoever reads its mail. Only an
    administrator's token is told (409). An account whose address was never proved gives way to the one whose token is.
    """
    return await accounts.register(body, source, tells_taken=await _is_admin(request))


async def _is_admin(request: Request) -> bool:
    return brings_credential(request.scope["headers"]) and (await recognised(request)).allows("admin")


@router.get("/me", operation_id="auth_me", summary="Who am I", response_model=ProfileRead)
async def me(caller: Me, accounts: Accounts, response: Response) -> ProfileRead:
    """The caller's own account in the tenant their token acts in, and the tenants they may act in."""
    profile = await accounts.get(caller)
    describe(response, version=profile.principal.user.version)
    return ProfileRead.of(profile)


@router.patch(
    "/me",
    operation_id="auth_update_me",
    summary="Change my profile",
    response_model=ProfileRead,
    responses=responses(PreconditionFailed, DelegateRefused),
)
async def update_me(
    body: ProfileUpdate,
    caller: Oneself,
    accounts: Accounts,
    source: Source,
    response: Response,
    if_match: IfMatch = None,
) -> ProfileRead:
    """Change one's own name."""
    profile = await accounts.update(caller, body, if_match, source)
    describe(response, version=profile.principal.user.version)
    return ProfileRead.of(profile)
