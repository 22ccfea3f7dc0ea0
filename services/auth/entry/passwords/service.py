"""Changing one's password, which ends what was begun with the old one."""

from services.auth.entry.passwords.schemas import PasswordChange
from services.auth.entry.sessions.ending import SessionEnder
from services.auth.errors import WrongCurrentPassword
from services.auth.models import User
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.passwords.hashing import PasswordHasher
from services.auth.people.passwords.throttle import Clock, Counted, Throttle, by_account, now
from services.auth.trust.audit.actions import Action
from services.auth.trust.work import Works
from shared.identity import Caller


class PasswordService:
    """No connection is held while a password is hashed, so each step is a work of its own."""

    def __init__(self, works: Works, hasher: PasswordHasher, clock: Clock = now) -> None:
        self._works, self._hasher, self.clock = works, hasher, clock

    async def change(self, caller: Caller, body: PasswordChange, source: str | None) -> None:
        """Change it and end the other sessions. API keys go on: they were never derived from it.

        Raises WrongCurrentPassword (counted like a failed login), PasswordTooCommon, HashingBusy.
        """
        counted = _by_change(caller)
        async with self._hasher.admitted(source):
            user, may_try = await self._candidate(caller, counted, source)
            matches, _ = await self._hasher.verify(body.current_password.get_secret_value(), user.password_hash)
            if not matches or not may_try:
                await self._works.note(Action.PASSWORD_REFUSED, source=source, by=caller, target=caller.subject)
                raise WrongCurrentPassword
            new_hash = await self._hasher.hash_new(body.new_password.get_secret_value(), "/new_password")
        async with self._works.begin(source) as work:
            accounts = AccountRepository(work.session)
            principal = await accounts.get_principal(caller.subject, caller.tenant_id)
            await accounts.replace_password_hash(principal.user, new_hash)
            await Throttle(work.session).clear(counted)
            await Throttle(work.session).clear(by_account(principal.user.email))
            await SessionEnder(work).end_others(caller.subject, caller.session_id)
            work.note(Action.PASSWORD_CHANGED, by=caller, target=caller.subject)

    async def _candidate(self, caller: Caller, counted: Counted, source: str | None) -> tuple[User, bool]:
        async with self._works.begin(source) as work:
            principal = await AccountRepository(work.session).get_principal(caller.subject, caller.tenant_id)
            admission = await Throttle(work.session, self.clock).admit(counted)
            return principal.user, admission.is_admitted


def _by_change(caller: Caller) -> Counted:
    """Apart from logins: who holds a stolen session must not lock the owner out."""
    return by_account(f"change\0{caller.subject}")
