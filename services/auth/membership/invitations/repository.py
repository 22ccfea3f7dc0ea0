"""Every statement about invitations; the tenant is in each but the one that knows the token."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.errors import InvitationNotFound, InvitationRefused
from services.auth.models import Invitation
from services.auth.trust.scopes import Role


class InvitationRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(
        self, *, id: str, tenant_id: str, email: str, role: Role, token: str, invited_by: str, expires_at: datetime
    ) -> Invitation:
        row = Invitation(
            id=id,
            tenant_id=tenant_id,
            email=email,
            role=role,
            token_hash=_digest(token),
            invited_by=invited_by,
            created_at=datetime.now(UTC),
            expires_at=expires_at,
        )
        self._session.add(row)
        await self._session.flush()
        return row

    async def count_unanswered(self, tenant_id: str) -> int:
        """Those that are open, and those withdrawn before their time: each of them was a letter."""
        statement = (
            select(func.count())
            .select_from(Invitation)
            .where(
                Invitation.tenant_id == tenant_id,
                Invitation.accepted_at.is_(None),
                Invitation.expires_at > datetime.now(UTC),
            )
        )
        return await self._session.scalar(statement) or 0

    async def list_open(self, tenant_id: str, after: str | None, limit: int) -> list[Invitation]:
        """Newest first, up to `limit` that come after the id `after`."""
        statement = (
            select(Invitation)
            .where(Invitation.tenant_id == tenant_id, *_open())
            .order_by(Invitation.id.desc())
            .limit(limit)
        )
        if after:
            statement = statement.where(Invitation.id < after)
        return list(await self._session.scalars(statement))

    async def get_open(self, token: str) -> Invitation:
        """Raises InvitationRefused."""
        invitation = await self._session.scalar(
            select(Invitation).where(Invitation.token_hash == _digest(token), *_open())
        )
        if invitation is None:
            raise InvitationRefused
        return invitation

    async def get(self, tenant_id: str, invitation_id: str) -> Invitation:
        """Whatever became of it. Raises InvitationNotFound for one that is no longer kept."""
        invitation = await self._session.scalar(
            select(Invitation).where(Invitation.tenant_id == tenant_id, Invitation.id == invitation_id)
        )
        if invitation is None:
            raise InvitationNotFound
        return invitation

    async def accept(self, token: str) -> Invitation:
        """Use the token up: of many at once exactly one succeeds. Raises InvitationRefused for the others."""
        invitation: Invitation | None = await self._session.scalar(
            update(Invitation)
            .where(Invitation.token_hash == _digest(token), *_open())
            .values(accepted_at=datetime.now(UTC))
            .returning(Invitation)
        )
        if invitation is None:
            raise InvitationRefused
        return invitation

    async def withdraw(self, tenant_id: str, invitation_id: str) -> None:
        """Raises InvitationNotFound for one that is not open."""
        if not await self._withdraw(Invitation.tenant_id == tenant_id, Invitation.id == invitation_id):
            raise InvitationNotFound

    async def withdraw_to(self, tenant_id: str, email: str) -> Sequence[str]:
        """Withdraw what is open to this address; returns the ids."""
        return await self._withdraw(Invitation.tenant_id == tenant_id, Invitation.email == email)

    async def withdraw_by(self, tenant_id: str, user_id: str) -> Sequence[str]:
        """Withdraw what this user offered; returns the ids."""
        return await self._withdraw(Invitation.tenant_id == tenant_id, Invitation.invited_by == user_id)

    async def _withdraw(self, *which: ColumnElement[bool]) -> Sequence[str]:
        statement = update(Invitation).where(*which, *_open()).values(revoked_at=datetime.now(UTC))
        return (await self._session.scalars(statement.returning(Invitation.id))).all()

    async def delete_expired(self) -> None:
        """Forget what nobody can accept any more; the audit log knows what became of it."""
        await self._session.execute(delete(Invitation).where(Invitation.expires_at <= datetime.now(UTC)))


def _open() -> tuple[ColumnElement[bool], ...]:
    return (
        Invitation.accepted_at.is_(None),
        Invitation.revoked_at.is_(None),
        Invitation.expires_at > datetime.now(UTC),
    )


def _digest(token: str) -> bytes:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode()).digest()
