"""Registering, and looking after one's own account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.auth.entry.issuing.issuer import TokenIssuer
from services.auth.entry.sessions.service import SessionService
from services.auth.errors import EmailTaken, PasswordTooCommon, WrongCurrentPassword
from services.auth.models import User
from services.auth.people.accounts.principal import Principal
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.accounts.schemas import AccountRead, PasswordChange, Registration
from services.auth.people.passwords.common import is_common
from services.auth.people.passwords.hashing import Passwords
from services.auth.people.passwords.throttle import Clock, Counted, Throttle, by_account, now
from services.auth.people.tenants.domain import TenantOfUser
from services.auth.people.tenants.repository import MemberRepository
from services.auth.trust.work import Works
from shared.identity import Caller
from shared.resources import etag, require_match
from shared.schemas import new_id


@dataclass(frozen=True, slots=True)
class Profile:
    """Who somebody is in one tenant, and all the tenants they belong to."""

    principal: Principal
    tenants: Sequence[TenantOfUser]


@dataclass(slots=True)
class AccountService:
    """The use cases hold no connection while a password is hashed, so each begins its own work."""

    works: Works
    passwords: Passwords
    issuer: TokenIssuer
    clock: Clock = now

    async def register(self, given: Registration, source: str | None, *, tells_taken: bool) -> AccountRead:
        """The new account.

        For an address that has one already the answer looks the same and takes as long, so that nobody learns who is
        registered; nothing is made. Raises EmailTaken where the caller may know, PasswordTooCommon, HashingBusy.
        """
        async with self.passwords.admitted():
            password_hash = await self.new_hash(given.password.get_secret_value(), "/password")
        try:
            async with self.works.begin(source) as work:
                user = await AccountRepository(work.session).create(
                    email=given.email, password_hash=password_hash, name=given.name
                )
                work.note("user.registered", actor=user.id, tenant_id=user.tenant_id, target=user.id)
        except EmailTaken:
            if tells_taken:
                raise
            await self._note_taken(source)
            return _pretended(given)
        return AccountRead.model_validate(user)

    async def _note_taken(self, source: str | None) -> None:
        async with self.works.begin(source) as work:
            work.note("user.registered_again")

    async def new_hash(self, password: str, pointer: str) -> str:
        """The hash of a new password, for a request that was admitted. Raises PasswordTooCommon, naming the field."""
        if is_common(password):
            raise PasswordTooCommon(pointer)
        return await self.passwords.hash(password)

    async def get(self, caller: Caller) -> Profile:
        """Raises Unauthenticated when the user is gone, disabled or no longer in the tenant."""
        async with self.works.begin() as work:
            principal = await AccountRepository(work.session).get_principal(caller.subject, caller.tenant_id)
            return Profile(principal, await MemberRepository(work.session).list_tenants(caller.subject))

    async def rename(self, caller: Caller, name: str | None, if_match: str | None) -> Profile:
        """Raises PreconditionFailed when the account changed since the caller read it."""
        async with self.works.begin() as work:
            accounts = AccountRepository(work.session)
            principal = await accounts.get_principal(caller.subject, caller.tenant_id)
            require_match(if_match, etag(principal.user.version))
            await accounts.rename(principal.user, name)
            return Profile(principal, await MemberRepository(work.session).list_tenants(caller.subject))

    async def change_password(self, caller: Caller, given: PasswordChange, source: str | None) -> None:
        """Change it and end the other sessions. API keys go on: they were never derived from it.

        Raises WrongCurrentPassword (counted like a failed login), PasswordTooCommon, HashingBusy.
        """
        counted = _by_change(caller)
        async with self.passwords.admitted():
            user, may_try = await self._candidate(caller, counted, source)
            matches, _ = await self.passwords.verify(given.current_password.get_secret_value(), user.password_hash)
            if not matches or not may_try:
                await self._note_refused(caller, source)
                raise WrongCurrentPassword
            new_hash = await self.new_hash(given.new_password.get_secret_value(), "/new_password")
        async with self.works.begin(source) as work:
            accounts = AccountRepository(work.session)
            principal = await accounts.get_principal(caller.subject, caller.tenant_id)
            await accounts.replace_password_hash(principal.user, new_hash)
            await Throttle(work.session).clear(counted)
            await Throttle(work.session).clear(by_account(principal.user.email))
            await SessionService(work, self.issuer).end_others(caller.subject, caller.session_id)
            work.note("password.changed", actor=caller.subject, tenant_id=caller.tenant_id, target=caller.subject)

    async def _candidate(self, caller: Caller, counted: Counted, source: str | None) -> tuple[User, bool]:
        async with self.works.begin(source) as work:
            principal = await AccountRepository(work.session).get_principal(caller.subject, caller.tenant_id)
            return principal.user, await Throttle(work.session, self.clock).admit([counted])

    async def _note_refused(self, caller: Caller, source: str | None) -> None:
        async with self.works.begin(source) as work:
            work.note("password.refused", actor=caller.subject, tenant_id=caller.tenant_id, target=caller.subject)


def _by_change(caller: Caller) -> Counted:
    """Apart from logins: who holds a stolen session must not lock the owner out."""
    return by_account(f"change\0{caller.subject}")


def _pretended(given: Registration) -> AccountRead:
    """What a new account would look like."""
    return AccountRead(
        id=new_id(), email=given.email, name=given.name, tenant_id=new_id(), created_at=datetime.now(UTC)
    )


async def ensure_admin(works: Works, passwords: Passwords, email: str, password: str) -> None:
    """Create the first administrator when there is no such account; an existing one keeps its password."""
    async with works.begin() as work:
        if await AccountRepository(work.session).find_by_email(email.lower()):
            return
    password_hash = await passwords.hash(password)
    try:
        async with works.begin() as work:
            user = await AccountRepository(work.session).create(
                email=email.lower(), password_hash=password_hash, name="Administrator", is_admin=True
            )
            work.note("user.registered", target=user.id, is_admin=True)
    except EmailTaken:
        return  # another replica was first
