"""Every statement about API keys; the owner filter stands in one place."""

from datetime import UTC, datetime

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.errors import ApiKeyNotFound
from services.auth.models import ApiKey, User
from shared.ids import new_id


class ApiKeyRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(
        self,
        owner: User,
        *,
        name: str,
        scopes: frozenset[str],
        expires_at: datetime | None,
        public_id: str,
        secret_hash: bytes,
    ) -> ApiKey:
        row = ApiKey(
            id=new_id(),
            tenant_id=owner.tenant_id,
            user_id=owner.id,
            name=name,
            public_id=public_id,
            secret_hash=secret_hash,
            scopes=sorted(scopes),
            created_at=datetime.now(UTC),
            expires_at=expires_at,
        )
        self._session.add(row)
        await self._session.flush()
        return row

    async def lock_owner(self, user_id: str) -> None:
        """Have concurrent creations for one user wait for each other, so that their count is exact."""
        await self._session.execute(select(User.id).where(User.id == user_id).with_for_update())

    async def count_live(self, tenant_id: str, user_id: str) -> int:
        live = self._live(tenant_id, user_id).subquery()
        return await self._session.scalar(select(func.count()).select_from(live)) or 0

    async def list_live(self, tenant_id: str, user_id: str, *, after: str | None, limit: int) -> list[ApiKey]:
        """Newest first, up to `limit` rows that come after the id `after`."""
        statement = self._live(tenant_id, user_id).order_by(ApiKey.id.desc()).limit(limit)
        if after:
            statement = statement.where(ApiKey.id < after)
        return list(await self._session.scalars(statement))

    async def revoke(self, tenant_id: str, user_id: str, key_id: str) -> None:
        """Raises ApiKeyNotFound when there is no live key of that id."""
        revoked = await self._session.scalar(
            update(ApiKey)
            .where(
                ApiKey.id == key_id,
                ApiKey.tenant_id == tenant_id,
                ApiKey.user_id == user_id,
                ApiKey.revoked_at.is_(None),
            )
            .values(revoked_at=datetime.now(UTC))
            .returning(ApiKey.id)
        )
        if revoked is None:
            raise ApiKeyNotFound

    async def find_usable(self, public_id: str) -> tuple[ApiKey, User] | None:
        """A key that is neither revoked nor expired, with its owner, who is enabled."""
        row = (
            await self._session.execute(
                select(ApiKey, User)
                .join(User, User.id == ApiKey.user_id)
                .where(
                    ApiKey.public_id == public_id,
                    ApiKey.revoked_at.is_(None),
                    or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > datetime.now(UTC)),
                    User.disabled_at.is_(None),
                )
            )
        ).one_or_none()
        return (row[0], row[1]) if row else None

    def _live(self, tenant_id: str, user_id: str) -> Select[ApiKey]:
        return select(ApiKey).where(
            ApiKey.tenant_id == tenant_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None)
        )
