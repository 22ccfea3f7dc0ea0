"""Who changes what an account is known by types its password, and guesses at it no more often than at a login."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.auth.errors import WrongCurrentPassword
from services.auth.models import User
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.passwords.hashing import PasswordHasher
from services.auth.people.passwords.throttle import Clock, Counted, Throttle, by_account, now
from services.auth.trust.audit.actions import Action
from services.auth.trust.work import Works
from shared.identity import Caller


class CurrentPassword:
    """No connection is held while a password is hashed."""

    def __init__(self, works: Works, hasher: PasswordHasher, clock: Clock = now) -> None:
        self._works, self._hasher, self.clock = works, hasher, clock

    @asynccontextmanager
    async def proved(self, caller: Caller, password: str, source: str | None) -> AsyncIterator[User]:
        """A place to hash, for a caller who typed the right password; the account as it was then.

        Raises WrongCurrentPassword (counted like a failed login), HashingBusy.
        """
        async with self._hasher.admitted(source):
            user, may_try = await self._candidate(caller, source)
            matches, _ = await self._hasher.verify(password, user.password_hash)
            if not matches or not may_try:
                await self._note_refused(caller, source)
                raise WrongCurrentPassword
            async with self._works.database.statements() as session:
                await Throttle(session, self.clock).clear(by_change(caller.subject))
            yield user

    async def _candidate(self, caller: Caller, source: str | None) -> tuple[User, bool]:
        async with self._works.begin(source) as work:
            principal = await AccountRepository(work.session).get_principal(caller.subject, caller.tenant_id)
            admission = await Throttle(work.session, self.clock).admit(by_change(caller.subject))
            return principal.user, admission.is_admitted

    async def _note_refused(self, caller: Caller, source: str | None) -> None:
        async with self._works.begin(source) as work:
            work.note(Action.PASSWORD_REFUSED, by=caller, target=caller.subject)


def has_another_password(now: User, proved: User) -> bool:
    """Whether it was changed since it was `proved`; the same one under newer parameters is no other."""
    return now.version != proved.version and now.password_hash != proved.password_hash


def by_change(user_id: str) -> Counted:
    """Apart from logins: who holds a stolen session must not lock the owner out."""
    return by_account(f"change\0{user_id}")
