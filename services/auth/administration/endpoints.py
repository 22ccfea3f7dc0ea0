"""`/auth/users`: the users of the installation, for its administrators."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from services.auth.administration.dependencies import Users
from services.auth.administration.schemas import UserFilters, UserRead
from services.auth.errors import DelegateRefused, OwnAccount, UserDisplaced, UserNotFound
from services.auth.models import User
from services.auth.trust.dependencies import Admin, Source
from shared.door import GuardedRoute, stores_nothing
from shared.errors import responses
from shared.resources import Cursor, Limit, Page, describe
from shared.schemas import Id

router = APIRouter(
    prefix="/api/v1/auth/users", tags=["administration"], route_class=GuardedRoute, responses=responses(DelegateRefused)
)


@router.get("", operation_id="auth_list_users", summary="All users", response_model=Page[UserRead])
async def list_page(
    caller: Admin,
    users: Users,
    source: Source,
    filters: Annotated[UserFilters, Depends()],
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[UserRead]:
    """The users of all tenants, newest first."""
    return (await users.list_page(caller, filters, limit, cursor, source)).page(UserRead.model_validate)


@router.get(
    "/{id}",
    operation_id="auth_get_user",
    summary="Read a user",
    response_model=UserRead,
    responses=responses(UserNotFound),
)
async def get(id: Id, caller: Admin, users: Users, source: Source, response: Response) -> User:
    """One user."""
    user = await users.get(caller, id, source)
    describe(response, version=user.version)
    return user


@router.post(
    "/{id}/disable",
    operation_id="auth_disable_user",
    summary="Lock a user out",
    response_model=UserRead,
    responses=responses(UserNotFound, OwnAccount),
)
@stores_nothing
async def disable(id: Id, caller: Admin, users: Users, source: Source) -> User:
    """End everything the user holds: logins and refreshes are refused at once, tokens and API keys within seconds.

    Again, it changes nothing.
    """
    return await users.disable(caller, id, source)


@router.post(
    "/{id}/enable",
    operation_id="auth_enable_user",
    summary="Let a user in again",
    response_model=UserRead,
    responses=responses(UserNotFound, UserDisplaced),
)
async def enable(id: Id, caller: Admin, users: Users, source: Source) -> User:
    """The user may log in again, and within a minute their API keys work again. Sessions that ended stay ended."""
    return await users.enable(caller, id, source)


@router.post(
    "/{id}/unlock",
    operation_id="auth_unlock_user",
    summary="Forget a user's failed logins",
    status_code=204,
    responses=responses(UserNotFound),
)
async def unlock(id: Id, caller: Admin, users: Users, source: Source) -> None:
    """End the wait that failed logins brought upon the account. A disabled account stays disabled."""
    await users.unlock(caller, id, source)
