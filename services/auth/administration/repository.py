"""Every statement of administrators about users: those of all tenants, and disabled ones too."""

from datetime import UTC, datetime

from sqlalchemy import Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.administration.schemas import UserFilters
from services.auth.errors import UserNotFound
from services.auth.models import User
from services.auth.people.accounts.address import beginning


class UserRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, user_id: str) -> User:
        """Raises UserNotFound."""
        return await self._one(select(User).where(User.id == user_id))

    async def get_locked(self, user_id: str) -> User:
        """Nobody is granted anything as this user until the transaction ends. Raises UserNotFound."""
        return await self._one(select(User).where(User.id == user_id).with_for_update())

    async def list_newest(self, filters: UserFilters, after: str | None, limit: int) -> list[User]:
        """Up to `limit` matching users who are older than the one with the id `after`."""
        statement = select(User).order_by(User.id.desc()).limit(limit)
        if filters.q is not None:
            of_name = func.lower(User.name).startswith(filters.q.lower(), autoescape=True)
            statement = statement.where(or_(User.email.startswith(beginning(filters.q), autoescape=True), of_name))
        if filters.is_disabled is not None:
            is_enabled = User.disabled_at.is_(None)
            statement = statement.where(~is_enabled if filters.is_disabled else is_enabled)
        if after is not None:
            statement = statement.where(User.id < after)
        return list(await self._session.scalars(statement))

    async def set_disabled(self, user: User, disabled_at: datetime | None) -> None:
        user.disabled_at = disabled_at
        user.version += 1
        user.updated_at = datetime.now(UTC)
        await self._session.flush()

    async def _one(self, statement: Select[User]) -> User:
        user = await self._session.scalar(statement)
        if user is None:
            raise UserNotFound
        return user
