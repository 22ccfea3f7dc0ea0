"""Registering, and looking after one's own account."""

from datetime import UTC, datetime

from services.auth.errors import EmailTaken
from services.auth.models import User
from services.auth.people.accounts.principal import Profile
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.accounts.schemas import ProfileUpdate, Registration
from services.auth.people.passwords.hashing import PasswordHasher
from services.auth.people.tenants.repository import MemberRepository
from services.auth.trust.work import Works
from shared.identity import Caller
from shared.resources import etag, require_match
from shared.schemas import new_id


class AccountService:
    """No connection is held while a password is hashed."""

    def __init__(self, works: Works, hasher: PasswordHasher) -> None:
        self._works, self._hasher = works, hasher

    async def register(self, body: Registration, source: str | None, *, tells_taken: bool) -> User:
        """The new account.

        For an address that has one already the answer looks the same and takes as long, so that nobody learns who is
        registered; nothing is made. Raises EmailTaken where the caller may know, PasswordTooCommon, HashingBusy.
        """
        async with self._hasher.admitted(source):
            password_hash = await self._hasher.hash_new(body.password.get_secret_value(), "/password")
        try:
            async with self._works.begin(source) as work:
                user = await AccountRepository(work.session).create(
                    email=body.email, password_hash=password_hash, name=body.name
                )
                work.note("user.registered", actor=user.id, tenant_id=user.tenant_id, target=user.id)
        except EmailTaken:
            if tells_taken:
                raise
            await self._note_taken(source)
            return _pretended(body)
        return user

    async def _note_taken(self, source: str | None) -> None:
        async with self._works.begin(source) as work:
            work.note("user.registered_again")

    async def get(self, caller: Caller) -> Profile:
        """Raises Unauthenticated when the user is gone, disabled or no longer in the tenant."""
        async with self._works.begin() as work:
            principal = await AccountRepository(work.session).get_principal(caller.subject, caller.tenant_id)
            return Profile(principal, await MemberRepository(work.session).list_tenants(caller.subject))

    async def update(self, caller: Caller, body: ProfileUpdate, if_match: str | None) -> Profile:
        """Raises PreconditionFailed when the account changed since the caller read it."""
        async with self._works.begin() as work:
            accounts = AccountRepository(work.session)
            principal = await accounts.get_principal(caller.subject, caller.tenant_id)
            require_match(if_match, etag(principal.user.version))
            await accounts.rename(principal.user, body.name)
            return Profile(principal, await MemberRepository(work.session).list_tenants(caller.subject))


def _pretended(body: Registration) -> User:
    """What a new account would look like; it is in no session."""
    return User(id=new_id(), email=body.email, name=body.name, tenant_id=new_id(), created_at=datetime.now(UTC))


async def ensure_admin(works: Works, hasher: PasswordHasher, email: str, password: str) -> None:
    """Create the first administrator when there is no such account; an existing one keeps its password."""
    async with works.begin() as work:
        if await AccountRepository(work.session).find_by_email(email.lower()):
            return
    password_hash = await hasher.hash(password)
    try:
        async with works.begin() as work:
            user = await AccountRepository(work.session).create(
                email=email.lower(), password_hash=password_hash, name="Administrator", is_admin=True
            )
            work.note("user.registered", target=user.id, is_admin=True)
    except EmailTaken:
        return  # another replica was first
