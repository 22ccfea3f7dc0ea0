"""Every statement about API keys; the owner filter stands in one place."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.auth.errors import ApiKeyNotFound
from services.auth.models import ApiKey, User
from shared.schemas import new_id

_CLOCKS_DIFFER: Final = timedelta(minutes=1)  # to another replica a key may not have expired yet


class ApiKeyRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(
        self,
        *,
        tenant_id: str,
        user_id: str,
        name: str,
        scopes: frozenset[str],
        expires_at: datetime | None,
        public_id: str,
        secret_hash: bytes,
    ) -> ApiKey:
        row = ApiKey(
            id=new_id(),
            tenant_id=tenant_id,
            user_id=user_id,
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

    async def list_live(self, tenant_id: str, user_id: str, after: str | None, limit: int) -> list[ApiKey]:
        """Newest first, up to `limit` rows that come after the id `after`."""
        statement = self._live(tenant_id, user_id).order_by(ApiKey.id.desc()).limit(limit)
        if after:
            statement = statement.where(ApiKey.id < after)
        return list(await self._session.scalars(statement))

    async def find_heir(self, tenant_id: str, user_id: str, key_id: str) -> ApiKey | None:
        """The live key that goes on with what was begun with this one: itself, or what it was rotated to, and so on.

        None where that has ended, or where any on the way was revoked. One statement, however often it was rotated.
        """
        is_theirs = ApiKey.tenant_id == tenant_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None)
        line = select(ApiKey.id).where(*is_theirs, ApiKey.id == key_id).cte("line", recursive=True)
        before = aliased(ApiKey)
        line = line.union(
            select(ApiKey.id)
            .join(before, before.replaced_by == ApiKey.id)
            .join(line, line.c.id == before.id)
            .where(*is_theirs, before.expires_at <= datetime.now(UTC))
        )
        return await self._session.scalar(select(ApiKey).where(ApiKey.id.in_(select(line.c.id)), _is_unexpired()))

    async def get_live_locked(self, tenant_id: str, user_id: str, key_id: str) -> ApiKey:
        """Raises ApiKeyNotFound when there is no live key of that id."""
        key = await self._session.scalar(self._live(tenant_id, user_id).where(ApiKey.id == key_id).with_for_update())
        if key is None:
            raise ApiKeyNotFound
        return key

    async def get_anybodys_live_locked(self, key_id: str) -> ApiKey:
        """Of any owner. Raises ApiKeyNotFound when there is no live key of that id."""
        statement = select(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None), _is_unexpired())
        key = await self._session.scalar(statement.with_for_update())
        if key is None:
            raise ApiKeyNotFound
        return key

    async def find_by_public_id(self, public_id: str) -> ApiKey | None:
        """A key in any state, by the part of it that may be shown."""
        return await self._session.scalar(select(ApiKey).where(ApiKey.public_id == public_id))

    async def revoke(self, key: ApiKey) -> None:
        key.revoked_at = datetime.now(UTC)
        await self._session.flush()

    async def revoke_all(self, tenant_id: str, user_id: str) -> None:
        """Revoke every key of the user in this tenant."""
        await self._revoke(ApiKey.tenant_id == tenant_id, ApiKey.user_id == user_id)

    async def revoke_all_of(self, user_id: str) -> Sequence[str]:
        """Revoke every key of the user, in all tenants; returns the ids."""
        return await self._revoke(ApiKey.user_id == user_id)

    async def _revoke(self, *which: ColumnElement[bool]) -> Sequence[str]:
        """In the order of ids, as `mark_used` takes them, or the two could wait for each other.

        Those that have expired are left: there may be very many, of a program that rotates its key again and again.
        """
        alive = select(ApiKey.id).where(*which, ApiKey.revoked_at.is_(None), _is_unexpired(_CLOCKS_DIFFER))
        held = alive.order_by(ApiKey.id).with_for_update().cte("held")
        revoked = (
            update(ApiKey)
            .where(ApiKey.id.in_(select(held.c.id)))
            .values(revoked_at=datetime.now(UTC))
            .returning(ApiKey.id)
            .execution_options(synchronize_session=False)
        )
        return (await self._session.scalars(revoked)).all()

    async def replace(self, key: ApiKey, successor: ApiKey, usable_until: datetime) -> None:
        """`successor` takes over; `key` goes on until then, unless it ends sooner."""
        key.replaced_by = successor.id
        key.expires_at = min(usable_until, key.expires_at or usable_until)
        await self._session.flush()

    async def mark_used(self, used: Mapping[str, datetime]) -> None:
        """Write when keys were last used, in the order of ids, so that two replicas do not wait for each other.

        What another replica has seen since stays.
        """
        connection, columns = await self._session.connection(), ApiKey.__table__.c
        is_newer = or_(columns.last_used_at.is_(None), columns.last_used_at < bindparam("used_at"))
        await connection.execute(
            update(ApiKey.__table__)  # type: ignore[arg-type] # a mapped class has a Table
            .where(columns.id == bindparam("key_id"), is_newer)
            .values(last_used_at=bindparam("used_at")),
            [{"key_id": key_id, "used_at": at} for key_id, at in sorted(used.items())],
        )

    def _live(self, tenant_id: str, user_id: str) -> Select[ApiKey]:
        return select(ApiKey).where(
            ApiKey.tenant_id == tenant_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None), _is_unexpired()
        )


def _is_unexpired(within: timedelta = timedelta(0)) -> ColumnElement[bool]:
    """Now, or so long ago."""
    return or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > datetime.now(UTC) - within)
