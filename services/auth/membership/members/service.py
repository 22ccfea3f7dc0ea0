"""Who belongs to a tenant and what they may do there: read, changed, ended.

A change that takes something away holds at once: the user's access tokens of this tenant end, and with a removal also
their sessions, API keys and open invitations. A session of a lowered member goes on: its next refresh gives the rights
of the new role. A raised member logs in again for more rights, since a session never grows.
"""

from functools import partial
from typing import Any

from services.auth.entry.api_keys.repository import ApiKeyRepository
from services.auth.entry.sessions.repository import SessionRepository
from services.auth.errors import LastOwner
from services.auth.membership.deciding import require_decider
from services.auth.membership.invitations.repository import InvitationRepository
from services.auth.membership.members.schemas import MemberUpdate
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.tenants.domain import Member
from services.auth.people.tenants.repository import MemberRepository
from services.auth.trust.audit.actions import Action
from services.auth.trust.scopes import Role
from services.auth.trust.work import Work, Works
from shared.identity import Caller
from shared.resources import CursorCodec, Slice


class MemberService:
    def __init__(self, works: Works, cursors: CursorCodec) -> None:
        self._works, self._cursors = works, cursors

    async def list_page(self, caller: Caller, limit: int, cursor: str | None) -> Slice[Member]:
        """Those who have had an account for longest first. Raises Invalid for a cursor of another list."""
        async with self._works.begin() as work:
            return await self._cursors.slice(
                partial(MemberRepository(work.session).list_members, caller.tenant_id),
                key=lambda member: member.user_id,
                scope=["members", caller.tenant_id],
                limit=limit,
                cursor=cursor,
            )

    async def change_role(self, caller: Caller, user_id: str, body: MemberUpdate, source: str | None) -> Member:
        """Raises MemberNotFound, LastOwner, EmailUnverified."""
        async with self._works.begin(source) as work:
            await require_decider(work.session, caller)
            members, tenant_id, role = MemberRepository(work.session), caller.tenant_id, body.role
            member = await members.get(tenant_id, user_id)
            if role is not member.role:
                await _keep_an_owner(work, tenant_id, member)
                await members.set_role(tenant_id, user_id, role)
                if role.is_lower_than(member.role):
                    await _lower(work, tenant_id, member)
                _note(work, Action.MEMBER_ROLE_CHANGED, caller, user_id, before=member.role, after=role)
            return await members.get(tenant_id, user_id)

    async def remove(self, caller: Caller, user_id: str, source: str | None) -> None:
        """Raises MemberNotFound, LastOwner, EmailUnverified."""
        async with self._works.begin(source) as work:
            await require_decider(work.session, caller)
            await _remove(work, caller, user_id)

    async def leave(self, caller: Caller, source: str | None) -> None:
        """Anybody may, but the last owner. Raises MemberNotFound, LastOwner."""
        async with self._works.begin(source) as work:
            await MemberRepository(work.session).lock_tenant(caller.tenant_id)
            await _remove(work, caller, caller.subject)


async def _keep_an_owner(work: Work, tenant_id: str, member: Member) -> None:
    members = MemberRepository(work.session)
    if member.role is Role.OWNER and not await members.has_other_owner(tenant_id, member.user_id):
        raise LastOwner


async def _lower(work: Work, tenant_id: str, member: Member) -> None:
    if member.role is Role.OWNER:
        await _withdraw_invitations(work, tenant_id, member.user_id)
    work.access.end_member(tenant_id, member.user_id)


async def _remove(work: Work, caller: Caller, user_id: str) -> None:
    members, accounts, tenant_id = MemberRepository(work.session), AccountRepository(work.session), caller.tenant_id
    member = await members.get(tenant_id, user_id)
    await _keep_an_owner(work, tenant_id, member)
    # Sessions, then the account, then the membership, as a refresh takes them, or the two could wait for each other;
    # then those that began meanwhile.
    await SessionRepository(work.session).end_in_tenant(tenant_id, user_id)
    user = await accounts.get_locked(user_id)
    await members.remove(tenant_id, user_id)
    await SessionRepository(work.session).end_in_tenant(tenant_id, user_id)
    await ApiKeyRepository(work.session).revoke_all(tenant_id, user_id)
    await _withdraw_invitations(work, tenant_id, user_id)
    work.access.end_member(tenant_id, user_id)
    if user.tenant_id == tenant_id:  # nobody is left without a place to log in to
        await accounts.move_home(user)
    _note(work, Action.MEMBER_REMOVED, caller, user_id, role=member.role)


async def _withdraw_invitations(work: Work, tenant_id: str, user_id: str) -> None:
    """An offer does not outlive the right to make it."""
    for invitation_id in await InvitationRepository(work.session).withdraw_by(tenant_id, user_id):
        work.note(Action.INVITATION_WITHDRAWN, tenant_id=tenant_id, target=invitation_id)


def _note(work: Work, action: Action, caller: Caller, user_id: str, **details: Any) -> None:
    work.note(action, by=caller, target=user_id, **details)
