"""Changing one's password, which ends what was begun with the old one."""

from services.auth.entry.passwords.current import CurrentPassword, has_another_password
from services.auth.entry.passwords.schemas import PasswordChange
from services.auth.entry.sessions.ending import SessionEnder
from services.auth.errors import WrongCurrentPassword
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.letters.tokens import MailedTokens, Purpose
from services.auth.people.notices.service import Notices
from services.auth.people.passwords.hashing import PasswordHasher
from services.auth.people.passwords.throttle import Throttle, by_account
from services.auth.trust.audit.actions import Action
from services.auth.trust.work import Works
from shared.identity import Caller


class PasswordService:
    """No connection is held while a password is hashed, so each step is a work of its own."""

    def __init__(self, works: Works, hasher: PasswordHasher, current: CurrentPassword, notices: Notices) -> None:
        self._works, self._hasher, self.current, self._notices = works, hasher, current, notices

    async def change(self, caller: Caller, body: PasswordChange, source: str | None) -> None:
        """Change it and end the other sessions, and what was asked for with the old one: a letter to another address.

        API keys go on: they were never derived from it. Raises WrongCurrentPassword (counted like a failed login; also
        when it was changed while the new one was hashed), PasswordTooCommon, HashingBusy.
        """
        async with self.current.proved(caller, body.current_password.get_secret_value(), source) as proved:
            new_hash = await self._hasher.hash_new(body.new_password.get_secret_value(), "/new_password")
        async with self._works.begin(source) as work:
            accounts = AccountRepository(work.session)
            await accounts.get_principal(caller.subject, caller.tenant_id)
            # Sessions before the account, as a refresh takes them, or the two could wait for each other; then those
            # that began meanwhile.
            await SessionEnder(work).end_others(caller.subject, caller.session_id)
            user = await accounts.get_locked(caller.subject)
            if has_another_password(user, proved):  # a reset, which is not to be undone
                raise WrongCurrentPassword
            await accounts.replace_password_hash(user, new_hash)
            await SessionEnder(work).end_others(caller.subject, caller.session_id)
            await MailedTokens(work.session).end(Purpose.MOVE, user.id)
            await Throttle(work.session).clear(by_account(user.email))
            work.note(Action.PASSWORD_CHANGED, by=caller, target=caller.subject)
        self._notices.password_changed(caller.subject, source)
