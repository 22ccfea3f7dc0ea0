"""Who belongs to a tenant and what they may do there: read, changed, ended.

A change that takes something away holds at once: the user's access tokens of this tenant end, and with a removal also
their sessions, API keys and open invitations. A session of a lowered member goes on: its next refresh gives the rights
of the new role. A raised member logs in again for more rights, since a session never grows.
"""

from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.entry.api_keys.repository import ApiKeyRepository
from services.auth.entry.sessions.repository import SessionRepository
from services.auth.errors import LastOwner
from services.auth.membership.invitations.repository import InvitationRepository
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.tenants.domain import Member
from services.auth.people.tenants.repository import MemberRepository
from services.auth.people.tenants.schemas import MemberRead
from services.auth.trust.scopes import Role
from services.auth.trust.work import Work
from shared.errors import MissingScope
from shared.identity import Caller
from shared.resources import CursorCodec, Page, cut

DECIDE = "members:write"


class MemberService:
    def __init__(self, work: Work, cursors: CursorCodec) -> None:
        self._work, self._cursors = work, cursors
        self._members = MemberRepository(work.session)
        self._accounts = AccountRepository(work.session)

    async def list_page(self, caller: Caller, limit: int, cursor: str | None) -> Page[MemberRead]:
        """Those who have had an account for longest first. Raises Invalid for a cursor of another list."""
        scope = ["members", caller.tenant_id]
        position = self._cursors.decode(cursor, scope=scope)
        rows = await self._members.list_members(
            caller.tenant_id, after=position[0] if position else None, limit=limit + 1
        )
        page, last = cut(rows, limit)
        next_cursor = self._cursors.encode([last.user_id], scope=scope) if last else None
        return Page(items=[MemberRead.model_validate(row) for row in page], next_cursor=next_cursor)

    async def change_role(self, caller: Caller, user_id: str, role: Role) -> MemberRead:
        """Raises MemberNotFound, LastOwner."""
        await require_decider(self._work.session, caller)
        member = await self._members.get(caller.tenant_id, user_id)
        if role is not member.role:
            await self._keep_an_owner(caller.tenant_id, member)
            await self._members.set_role(caller.tenant_id, user_id, role)
            if role.is_lower_than(member.role):
                await self._lower(caller.tenant_id, member)
            self._note("member.role_changed", caller, user_id, before=member.role, after=role)
        return MemberRead.model_validate(await self._members.get(caller.tenant_id, user_id))

    async def remove(self, caller: Caller, user_id: str) -> None:
        """Raises MemberNotFound, LastOwner."""
        await require_decider(self._work.session, caller)
        await self._remove(caller, user_id)

    async def leave(self, caller: Caller) -> None:
        """Anybody may, but the last owner. Raises MemberNotFound, LastOwner."""
        await self._members.lock_tenant(caller.tenant_id)
        await self._remove(caller, caller.subject)

    async def _keep_an_owner(self, tenant_id: str, member: Member) -> None:
        if member.role is Role.OWNER and not await self._members.has_other_owner(tenant_id, member.user_id):
            raise LastOwner

    async def _lower(self, tenant_id: str, member: Member) -> None:
        if member.role is Role.OWNER:
            await self._withdraw_invitations(tenant_id, member.user_id)
        self._work.access.end_member(tenant_id, member.user_id)

    async def _remove(self, caller: Caller, user_id: str) -> None:
        tenant_id = caller.tenant_id
        member = await self._members.get(tenant_id, user_id)
        await self._keep_an_owner(tenant_id, member)
        # Sessions before the membership, as a refresh takes them, or the two could wait for each other.
        await SessionRepository(self._work.session).end_in_tenant(tenant_id, user_id)
        await self._members.remove(tenant_id, user_id)
        await ApiKeyRepository(self._work.session).revoke_all(tenant_id, user_id)
        await self._withdraw_invitations(tenant_id, user_id)
        self._work.access.end_member(tenant_id, user_id)
        user = await self._accounts.get_locked(user_id)
        if user.tenant_id == tenant_id:  # nobody is left without a place to log in to
            await self._accounts.move_home(user)
        self._note("member.removed", caller, user_id, role=member.role)

    async def _withdraw_invitations(self, tenant_id: str, user_id: str) -> None:
        """An offer does not outlive the right to make it."""
        for invitation_id in await InvitationRepository(self._work.session).withdraw_by(tenant_id, user_id):
            self._work.note("invitation.withdrawn", tenant_id=tenant_id, target=invitation_id)

    def _note(self, action: str, caller: Caller, user_id: str, **details: object) -> None:
        self._work.note(action, actor=caller.subject, tenant_id=caller.tenant_id, target=user_id, **details)


async def require_decider(session: AsyncSession, caller: Caller) -> None:
    """Have the caller decide about this tenant alone, until the transaction ends. Raises MissingScope, Unauthenticated.

    Their token said that they may; that may be older than the last decision.
    """
    await MemberRepository(session).lock_tenant(caller.tenant_id)
    principal = await AccountRepository(session).get_principal(caller.subject, caller.tenant_id)
    if DECIDE not in principal.scopes:
        raise MissingScope(DECIDE)
