"""`/auth/members`."""

from fastapi import APIRouter

from services.auth.errors import ApiKeyRefused, DelegateRefused, EmailUnverified, LastOwner, MemberNotFound
from services.auth.membership.dependencies import Decider, Granter, Reader
from services.auth.membership.members.dependencies import Members
from services.auth.membership.members.schemas import MemberRead, MemberUpdate
from services.auth.people.tenants.domain import Member
from services.auth.trust.dependencies import Oneself, Source
from shared.door import GuardedRoute
from shared.errors import responses
from shared.resources import Cursor, Limit, Page
from shared.schemas import Id

router = APIRouter(
    prefix="/api/v1/auth/members", tags=["members"], route_class=GuardedRoute, responses=responses(DelegateRefused)
)


@router.get("", operation_id="auth_list_members", summary="Who belongs to my tenant", response_model=Page[MemberRead])
async def list_page(caller: Reader, members: Members, limit: Limit = 20, cursor: Cursor = None) -> Page[MemberRead]:
    """The users of the tenant that the caller's token acts in, and what each may do there."""
    return (await members.list_page(caller, limit, cursor)).page(MemberRead.model_validate)


@router.delete(
    "/me",
    operation_id="auth_leave_tenant",
    summary="Leave my tenant",
    status_code=204,
    responses=responses(LastOwner, MemberNotFound),
)
async def leave(caller: Oneself, members: Members, source: Source) -> None:
    """Leave the tenant that the caller's token acts in, whatever one's role; the last owner cannot.

    It ends what one holds there: tokens, sessions, API keys. Who leaves the tenant that came with their account gets a
    new one of their own.
    """
    await members.leave(caller, source)


@router.patch(
    "/{user_id}",
    operation_id="auth_update_member",
    summary="Change a member's role",
    response_model=MemberRead,
    responses=responses(ApiKeyRefused, MemberNotFound, LastOwner, EmailUnverified),
)
async def update(user_id: Id, body: MemberUpdate, caller: Granter, members: Members, source: Source) -> Member:
    """Change what a member may do. It takes a login: rights that an API key gave would outlive it.

    A lower role holds at once: the member's access tokens end, and refreshed ones have the new rights. For more rights
    the member logs in again. The last owner cannot be lowered.
    """
    return await members.change_role(caller, user_id, body, source)


@router.delete(
    "/{user_id}",
    operation_id="auth_remove_member",
    summary="Remove a member",
    status_code=204,
    responses=responses(MemberNotFound, LastOwner, EmailUnverified),
)
async def remove(user_id: Id, caller: Decider, members: Members, source: Source) -> None:
    """Remove a member, which ends their tokens, sessions and API keys in this tenant at once; their account goes on.

    The last owner cannot be removed.
    """
    await members.remove(caller, user_id, source)
