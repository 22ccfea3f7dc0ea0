"""Registering, and looking after one's own account."""

from services.auth.errors import EmailTaken
from services.auth.people.accounts.address import address
from services.auth.people.accounts.domain import NewAccount
from services.auth.people.accounts.letters import RegistrationLetters
from services.auth.people.accounts.principal import Profile
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.accounts.schemas import ProfileUpdate, Registration
from services.auth.people.passwords.hashing import PasswordHasher
from services.auth.people.passwords.spelling import spelled
from services.auth.people.tenants.repository import MemberRepository
from services.auth.trust.audit.actions import Action
from services.auth.trust.work import Work, Works
from shared.identity import Caller
from shared.resources import etag, require_match


class AccountService:
    """No connection is held while a password is hashed."""

    def __init__(self, works: Works, hasher: PasswordHasher, letters: RegistrationLetters) -> None:
        self._works, self._hasher, self._letters = works, hasher, letters

    async def register(self, body: Registration, source: str | None, *, tells_taken: bool) -> NewAccount:
        """The new account.

        For an address that has one already it is only pretended, and nothing is made. What is answered is the same
        draft, and takes the same way and as long, so that nobody learns who is registered. A letter tells the owner of
        the mailbox what became of it, after the answer.

        Raises EmailTaken where the caller may know, PasswordTooCommon, HashingBusy.
        """
        async with self._hasher.admitted(source):
            password_hash = await self._hasher.hash_new(body.password.get_secret_value(), "/password")
        account = NewAccount.drafted(body.email, body.name)
        async with self._works.begin(source) as work:
            try:
                # Without mail nothing can be proved, so nobody is asked to.
                is_proved = not self._letters.are_sent
                await AccountRepository(work.session).create(account, password_hash, is_proved=is_proved)
            except EmailTaken:
                if tells_taken:
                    raise
                work.note(Action.USER_REGISTERED_AGAIN)
            else:
                note_registered(work, account)
        self._letters.registered(account, password_hash, source)
        return account

    async def get(self, caller: Caller) -> Profile:
        """Raises Unauthenticated when the user is gone, disabled or no longer in the tenant."""
        async with self._works.begin() as work:
            principal = await AccountRepository(work.session).get_principal(caller.subject, caller.tenant_id)
            return Profile(principal, await MemberRepository(work.session).list_tenants(caller.subject))

    async def update(self, caller: Caller, body: ProfileUpdate, if_match: str | None, source: str | None) -> Profile:
        """Raises PreconditionFailed when the account changed since the caller read it."""
        async with self._works.begin(source) as work:
            accounts = AccountRepository(work.session)
            principal = await accounts.get_principal(caller.subject, caller.tenant_id)
            user = await accounts.get_locked(caller.subject)  # of two who read the same, one is told so
            require_match(if_match, etag(user.version))
            await accounts.rename(user, body.name)
            work.note(Action.USER_RENAMED, by=caller, target=caller.subject)
            return Profile(principal, await MemberRepository(work.session).list_tenants(caller.subject))


def note_registered(work: Work, account: NewAccount) -> None:
    """Whoever registers, however they do, is noted so."""
    work.note(Action.USER_REGISTERED, actor=account.id, tenant_id=account.tenant_id, target=account.id)


async def ensure_admin(works: Works, hasher: PasswordHasher, email: str, password: str) -> None:
    """Create an administrator with this address when nobody has it; an existing account keeps its password.

    Whose address it is the operator says: an administrator who moves to another has to have it changed here, too.
    """
    account = NewAccount.drafted(address(email), "Administrator")
    async with works.begin() as work:
        if await AccountRepository(work.session).find_by_email(account.email):
            return
    password_hash = await hasher.hash(spelled(password))
    try:
        async with works.begin() as work:
            await AccountRepository(work.session).create(account, password_hash, is_admin=True, is_proved=True)
            work.note(Action.USER_REGISTERED, target=account.id, is_admin=True)
    except EmailTaken:
        return  # another replica was first
