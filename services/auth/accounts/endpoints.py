"""`/auth/register` and `/auth/me`."""

from typing import Annotated

from fastapi import APIRouter, Response

from services.auth.accounts.schemas import AccountRead, ProfileUpdate, Registration
from services.auth.dependencies import Accounts
from services.auth.errors import EmailTaken
from services.auth.models import User
from shared.errors import PreconditionFailed, responses
from shared.etag import IfMatch, etag
from shared.security import Caller, requires

router = APIRouter(prefix="/auth", tags=["accounts"])
Me = Annotated[Caller, requires("auth:profile")]


@router.post(
    "/register",
    operation_id="auth_register",
    summary="Create an account",
    status_code=201,
    response_model=AccountRead,
    responses=responses(EmailTaken),
)
async def register(body: Registration, accounts: Accounts) -> User:
    """Create an account and the tenant that will own its records. No caller is needed."""
    return await accounts.register(body)


@router.get("/me", operation_id="auth_me", summary="Who am I", response_model=AccountRead)
async def me(caller: Me, accounts: Accounts, response: Response) -> User:
    """The caller's own account."""
    user = await accounts.get(caller.subject)
    response.headers["ETag"] = etag(user.version)
    return user


@router.patch(
    "/me",
    operation_id="auth_update_me",
    summary="Change my profile",
    response_model=AccountRead,
    responses=responses(PreconditionFailed),
)
async def update_me(
    body: ProfileUpdate, caller: Me, accounts: Accounts, response: Response, if_match: IfMatch = None
) -> User:
    """Change one's own name."""
    user = await accounts.rename(caller.subject, body.name, if_match)
    response.headers["ETag"] = etag(user.version)
    return user
