"""Who decides about a tenant, and that they still may."""

from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.errors import EmailUnverified
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.tenants.repository import MemberRepository
from shared.errors import MissingScope
from shared.identity import Caller

DECIDE = "members:write"


async def require_decider(session: AsyncSession, caller: Caller) -> None:
    """Have the caller decide about this tenant alone, until the transaction ends.

    Their token said that they may; that may be older than the last decision. Raises MissingScope, Unauthenticated, and
    EmailUnverified for who has not shown that the address is theirs in whose name they would decide.
    """
    await MemberRepository(session).lock_tenant(caller.tenant_id)
    principal = await AccountRepository(session).get_principal(caller.subject, caller.tenant_id)
    if DECIDE not in principal.scopes:
        raise MissingScope(DECIDE)
    if not principal.user.email_verified:
        raise EmailUnverified
