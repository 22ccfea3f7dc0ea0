"""Every statement about tenants and users."""

from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.errors import EmailTaken
from services.auth.models import Tenant, User
from shared.errors import Unauthenticated
from shared.ids import new_id


class AccountRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(self, *, email: str, password_hash: str, name: str | None, is_admin: bool = False) -> User:
        """A user in a tenant of their own. Raises EmailTaken."""
        now = datetime.now(UTC)
        tenant = Tenant(id=new_id(), name=name or email, created_at=now)
        user = User(
            id=new_id(),
            tenant_id=tenant.id,
            email=email,
            name=name,
            password_hash=password_hash,
            is_admin=is_admin,
            version=1,
            created_at=now,
            updated_at=now,
        )
        self._session.add(tenant)
        await self._session.flush()
        self._session.add(user)
        try:
            await self._session.flush()
        except IntegrityError as error:
            raise EmailTaken from error
        return user

    async def find_by_email(self, email: str) -> User | None:
        return await self._session.scalar(select(User).where(User.email == email))

    async def find_enabled(self, user_id: str) -> User | None:
        return await self._session.scalar(select(User).where(User.id == user_id, User.disabled_at.is_(None)))

    async def get_enabled(self, user_id: str) -> User:
        """Raises Unauthenticated: a valid token of a user who is gone or disabled identifies nobody."""
        user = await self.find_enabled(user_id)
        if user is None:
            raise Unauthenticated
        return user

    async def rename(self, user: User, name: str | None) -> None:
        user.name = name
        user.version += 1
        user.updated_at = datetime.now(UTC)
        await self._session.flush()

    async def replace_password_hash(self, user_id: str, password_hash: str) -> None:
        await self._session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))
