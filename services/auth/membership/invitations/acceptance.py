"""Accepting an invitation: the token proves the address, the password proves the account.

Passwords are looked at for holders of an open invitation only, so guessing tokens costs one look into an index.
"""

from collections.abc import Awaitable, Callable

from services.auth.entry.logins.service import Credentials, LoginService
from services.auth.errors import EmailTaken, InvitationRefused, TooManyTenants, WrongCredentials
from services.auth.membership.invitations.domain import Joined
from services.auth.membership.invitations.repository import InvitationRepository
from services.auth.membership.invitations.schemas import InvitationAccept
from services.auth.models import Invitation, User
from services.auth.people.accounts.domain import NewAccount
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.accounts.service import note_registered
from services.auth.people.passwords.hashing import PasswordHasher
from services.auth.people.tenants.domain import MAX_TENANTS
from services.auth.people.tenants.repository import MemberRepository
from services.auth.trust.audit.actions import Action
from services.auth.trust.refusals import RefusalLog
from services.auth.trust.scopes import Role
from services.auth.trust.work import Work, Works

Join = Callable[[Work, Invitation], Awaitable[User]]


class AcceptanceService:
    """No connection is held while a password is hashed."""

    def __init__(self, works: Works, logins: LoginService, hasher: PasswordHasher, refusals: RefusalLog) -> None:
        self._works, self._logins, self._hasher, self._refusals = works, logins, hasher, refusals

    async def accept(self, body: InvitationAccept, source: str | None) -> Joined:
        """Make the account when the address has none, and the membership.

        Raises InvitationRefused, which is noted, since tokens may be guessed; for an existing account WrongCredentials
        or SourceHeldOff (counted like a login; a disabled one never passes), for a new one PasswordTooCommon;
        AlreadyMember, TooManyTenants, HashingBusy.
        """
        try:
            return await self._accept(body, source)
        except InvitationRefused as refused:
            await self._refusals.note(refused, None, source)
            raise

    async def _accept(self, body: InvitationAccept, source: str | None) -> Joined:
        token, password = body.token.get_secret_value(), body.password.get_secret_value()
        email, has_account = await self._invited(token)
        if has_account:
            user = await self._logins.prove(Credentials(email, password, frozenset(), None, source))
            return await self._join(token, source, _existing(user.id))
        async with self._hasher.admitted(source):
            password_hash = await self._hasher.hash_new(password, "/password")
        try:
            return await self._join(token, source, _new(password_hash, body.name))
        except EmailTaken:  # registered while we were hashing
            return await self._accept(body, source)

    async def _invited(self, token: str) -> tuple[str, bool]:
        """The address, and whether it has an account."""
        async with self._works.begin() as work:
            invitation = await InvitationRepository(work.session).get_open(token)
            user = await AccountRepository(work.session).find_by_email(invitation.email)
        return invitation.email, user is not None

    async def _join(self, token: str, source: str | None, join: Join) -> Joined:
        async with self._works.begin(source) as work:
            invitation = await InvitationRepository(work.session).accept(token)
            accounts, tenant_id = AccountRepository(work.session), invitation.tenant_id
            if await accounts.find_principal(invitation.invited_by, tenant_id) is None:  # they were disabled since
                raise InvitationRefused
            user = await join(work, invitation)
            members = MemberRepository(work.session)
            if await members.count_tenants(user.id) >= MAX_TENANTS:
                raise TooManyTenants
            role = Role(invitation.role)
            await members.add(tenant_id, user.id, role)
            work.note(Action.INVITATION_ACCEPTED, actor=user.id, tenant_id=tenant_id, target=invitation.id, role=role)
            tenants = await members.list_tenants(user.id)
        return Joined(user, next(tenant for tenant in tenants if tenant.id == tenant_id))


def _existing(user_id: str) -> Join:
    async def join(work: Work, invitation: Invitation) -> User:
        accounts = AccountRepository(work.session)
        user = await accounts.get_locked(user_id)  # so that their tenants are counted exactly
        if user.email != invitation.email:  # it was moved or displaced while we were hashing
            raise WrongCredentials
        await accounts.prove_address(user)
        return user

    return join


def _new(password_hash: str, name: str | None) -> Join:
    async def join(work: Work, invitation: Invitation) -> User:
        account, accounts = NewAccount.drafted(invitation.email, name), AccountRepository(work.session)
        await accounts.create(account, password_hash, is_proved=True)
        note_registered(work, account)
        return await accounts.get_locked(account.id)

    return join
