"""Registering, and looking after one's own account."""

from services.auth.accounts.passwords import Passwords
from services.auth.accounts.repository import AccountRepository
from services.auth.accounts.schemas import Registration
from services.auth.errors import EmailTaken
from services.auth.models import User
from shared.db import Database
from shared.etag import etag, require_match


class AccountService:
    def __init__(self, accounts: AccountRepository, passwords: Passwords) -> None:
        self._accounts, self._passwords = accounts, passwords

    async def register(self, registration: Registration) -> User:
        """Raises EmailTaken, HashingBusy."""
        password_hash = await self._passwords.hash(registration.password.get_secret_value())
        return await self._accounts.create(
            email=registration.email, password_hash=password_hash, name=registration.name
        )

    async def get(self, user_id: str) -> User:
        """Raises Unauthenticated when the user is gone or disabled."""
        return await self._accounts.get_enabled(user_id)

    async def rename(self, user_id: str, name: str | None, if_match: str | None) -> User:
        """Raises PreconditionFailed when the account changed since the caller read it."""
        user = await self._accounts.get_enabled(user_id)
        require_match(if_match, etag(user.version))
        await self._accounts.rename(user, name)
        return user


async def ensure_admin(database: Database, passwords: Passwords, email: str, password: str) -> None:
    """Create the first administrator when there is no such account; an existing one keeps its password."""
    async with database.session() as session:
        if await AccountRepository(session).find_by_email(email.lower()):
            return
    password_hash = await passwords.hash(password)
    try:
        async with database.transaction() as session:
            await AccountRepository(session).create(
                email=email.lower(), password_hash=password_hash, name="Administrator", is_admin=True
            )
    except EmailTaken:
        return  # another replica was first
