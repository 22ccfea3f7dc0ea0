"""`/auth/invitations`."""

from fastapi import APIRouter, Depends

from services.auth.errors import (
    AddressRefused,
    AlreadyMember,
    ApiKeyRefused,
    DelegateRefused,
    EmailUnverified,
    HashingBusy,
    InvitationNotFound,
    InvitationRefused,
    PasswordTooCommon,
    SourceHeldOff,
    TooManyInvitations,
    TooManyTenants,
    WrongCredentials,
)
from services.auth.membership.dependencies import Decider, Granter, Reader
from services.auth.membership.invitations.dependencies import Acceptances, Invitations
from services.auth.membership.invitations.schemas import Acceptance, InvitationAccept, InvitationCreate, InvitationRead
from services.auth.models import Invitation
from services.auth.trust.dependencies import Source
from shared.door import (
    ClaimingRoute,
    GuardedRoute,
    IdempotencyKeyInUse,
    IdempotencyKeyRefused,
    IdempotencyKeyReused,
    Keyed,
    KeylessRoute,
)
from shared.errors import responses
from shared.limits import limited_by_source
from shared.resources import Cursor, Limit, Page
from shared.schemas import Id

router = APIRouter(
    prefix="/api/v1/auth/invitations", tags=["members"], route_class=GuardedRoute, responses=responses(DelegateRefused)
)
creating = APIRouter(
    prefix="/api/v1/auth/invitations", tags=["members"], route_class=ClaimingRoute, responses=responses(DelegateRefused)
)
joining = APIRouter(prefix="/api/v1/auth/invitations", tags=["members"], route_class=KeylessRoute)


@creating.post(
    "",
    operation_id="auth_create_invitation",
    summary="Invite somebody",
    status_code=201,
    response_model=InvitationRead,
    responses=responses(
        ApiKeyRefused,
        EmailUnverified,
        AlreadyMember,
        TooManyInvitations,
        AddressRefused,
        InvitationNotFound,
        IdempotencyKeyInUse,
        IdempotencyKeyReused,
    ),
)
async def create(
    body: InvitationCreate, caller: Granter, invitations: Invitations, source: Source, once: Keyed
) -> Invitation:
    """Send a letter with a token that lets its reader join the caller's tenant, for seven days and once.

    It takes a login: whoever joins stays, also when an API key is revoked. The caller's own address must be proved. An
    open invitation to the same address is withdrawn. Without a mail server this answers 503, and nothing is made.
    Repeated with its `Idempotency-Key` it answers the invitation that was made, whatever became of it, and sends no
    second letter; where none was made, it sends one that counts.
    """
    return await invitations.create(caller, body, source, once)


@router.get("", operation_id="auth_list_invitations", summary="Open invitations", response_model=Page[InvitationRead])
async def list_page(
    caller: Reader, invitations: Invitations, limit: Limit = 20, cursor: Cursor = None
) -> Page[InvitationRead]:
    """What the tenant has offered and nobody has accepted yet, newest first."""
    return (await invitations.list_page(caller, limit, cursor)).page(InvitationRead.model_validate)


@router.delete(
    "/{id}",
    operation_id="auth_withdraw_invitation",
    summary="Withdraw an invitation",
    status_code=204,
    responses=responses(InvitationNotFound, EmailUnverified),
)
async def withdraw(id: Id, caller: Decider, invitations: Invitations, source: Source) -> None:
    """Take an open invitation back: its token works no more."""
    await invitations.withdraw(caller, id, source)


@joining.post(
    "/accept",
    operation_id="auth_accept_invitation",
    summary="Accept an invitation",
    response_model=Acceptance,
    responses=responses(
        InvitationRefused,
        WrongCredentials,
        SourceHeldOff,
        PasswordTooCommon,
        AlreadyMember,
        TooManyTenants,
        HashingBusy,
        IdempotencyKeyRefused,
    ),
    dependencies=[Depends(limited_by_source)],
)
async def accept(body: InvitationAccept, acceptances: Acceptances, source: Source) -> Acceptance:
    """Join the tenant that invited you. No caller is needed: the token out of the mail and a password are the proof.

    An address without an account gets one, with a tenant of its own too. The address counts as proved.
    """
    return Acceptance.of(await acceptances.accept(body, source))
