"""Every statement about who belongs to a tenant; the tenant is in each."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Row, Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.errors import AlreadyMember, MemberNotFound
from services.auth.models import Membership, Tenant, User
from services.auth.people.tenants.domain import Member, TenantOfUser
from services.auth.trust.scopes import Role


class MemberRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_tenant(self, tenant_id: str) -> None:
        """Have all who decide about the members of this tenant wait for each other. Logins do not wait."""
        await self._session.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(key_share=True))

    async def list_members(self, tenant_id: str, after: str | None, limit: int) -> list[Member]:
        """By user id, up to `limit` that come after the id `after`."""
        statement = _members(tenant_id).order_by(Membership.user_id).limit(limit)
        if after:
            statement = statement.where(Membership.user_id > after)
        return [_member(row) for row in await self._session.execute(statement)]

    async def get(self, tenant_id: str, user_id: str) -> Member:
        """Raises MemberNotFound."""
        row = (await self._session.execute(_members(tenant_id).where(Membership.user_id == user_id))).one_or_none()
        if row is None:
            raise MemberNotFound
        return _member(row)

    async def is_member(self, tenant_id: str, email: str) -> bool:
        return (await self._session.execute(_members(tenant_id).where(User.email == email))).one_or_none() is not None

    async def has_other_owner(self, tenant_id: str, user_id: str) -> bool:
        """Whether somebody else owns the tenant who can log in."""
        owners = _members(tenant_id).where(Membership.role == Role.OWNER, User.disabled_at.is_(None))
        found = await self._session.execute(owners.where(Membership.user_id != user_id).limit(1))
        return found.one_or_none() is not None

    async def add(self, tenant_id: str, user_id: str, role: Role) -> None:
        """Raises AlreadyMember, whatever the role."""
        statement = (
            insert(Membership)
            .values(tenant_id=tenant_id, user_id=user_id, role=role, created_at=datetime.now(UTC))
            .on_conflict_do_nothing()
            .returning(Membership.user_id)
        )
        if await self._session.scalar(statement) is None:
            raise AlreadyMember

    async def set_role(self, tenant_id: str, user_id: str, role: Role) -> None:
        await self._session.execute(update(Membership).where(*_one(tenant_id, user_id)).values(role=role))

    async def remove(self, tenant_id: str, user_id: str) -> None:
        await self._session.execute(delete(Membership).where(*_one(tenant_id, user_id)))

    async def count_tenants(self, user_id: str) -> int:
        statement = select(func.count()).select_from(Membership).where(Membership.user_id == user_id)
        return await self._session.scalar(statement) or 0

    async def list_tenants(self, user_id: str) -> Sequence[TenantOfUser]:
        """All of the user's, in the order they joined; there are at most MAX_TENANTS."""
        statement = (
            select(Tenant.id, Tenant.name, Membership.role)
            .join(Membership, Membership.tenant_id == Tenant.id)
            .where(Membership.user_id == user_id)
            .order_by(Membership.created_at, Tenant.id)
        )
        return [TenantOfUser(*row[:2], Role(row[2])) for row in await self._session.execute(statement)]


def _one(tenant_id: str, user_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return Membership.tenant_id == tenant_id, Membership.user_id == user_id


def _members(tenant_id: str) -> Select[str, str, str | None, str, datetime]:
    return (
        select(Membership.user_id, User.email, User.name, Membership.role, Membership.created_at)
        .join(User, User.id == Membership.user_id)
        .where(Membership.tenant_id == tenant_id)
    )


def _member(row: Row[str, str, str | None, str, datetime]) -> Member:
    user_id, email, name, role, created_at = row
    return Member(user_id, email, name, Role(role), created_at)
