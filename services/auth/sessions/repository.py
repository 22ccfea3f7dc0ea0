"""Every statement about sessions and their refresh tokens."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import LoginSession, RefreshToken
from shared.ids import new_id


@dataclass(frozen=True, slots=True)
class Link:
    """A refresh token that was presented, with its session, which nobody else changes until the transaction ends."""

    token: RefreshToken
    session: LoginSession

    @property
    def is_alive(self) -> bool:
        """Whether its session goes on."""
        return self.session.ended_at is None and self.session.expires_at > datetime.now(UTC)


class SessionRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(self, *, user_id: str, tenant_id: str, scope: str, seconds: int) -> tuple[LoginSession, str]:
        """A new session and its first refresh token."""
        now = datetime.now(UTC)
        row = LoginSession(
            id=new_id(),
            user_id=user_id,
            tenant_id=tenant_id,
            scope=scope,
            created_at=now,
            expires_at=now + timedelta(seconds=seconds),
        )
        self._session.add(row)
        await self._session.flush()
        return row, self.add_token(row.id)

    def add_token(self, session_id: str, parent_id: str | None = None) -> str:
        """The next link of the chain; it is kept only as a hash."""
        token = secrets.token_urlsafe(32)
        self._session.add(
            RefreshToken(
                id=new_id(),
                session_id=session_id,
                parent_id=parent_id,
                token_hash=_digest(token),
                created_at=datetime.now(UTC),
            )
        )
        return token

    async def find_locked(self, token: str) -> Link | None:
        """The token and its session; None for one that was never given out."""
        row = (
            await self._session.execute(
                select(RefreshToken, LoginSession)
                .join(LoginSession, LoginSession.id == RefreshToken.session_id)
                .where(RefreshToken.token_hash == _digest(token))
                .with_for_update(of=LoginSession)
            )
        ).one_or_none()
        return Link(row[0], row[1]) if row else None

    async def use(self, token: RefreshToken) -> bool:
        """Take a token out of use: of many at once exactly one succeeds."""
        used = await self._session.scalar(
            update(RefreshToken)
            .where(RefreshToken.id == token.id, RefreshToken.used_at.is_(None), RefreshToken.superseded_at.is_(None))
            .values(used_at=datetime.now(UTC))
            .returning(RefreshToken.id)
        )
        return used is not None

    async def has_unused_child(self, parent: RefreshToken) -> bool:
        """Whether the successor of `parent` is still waiting to be used."""
        return await self._session.scalar(select(RefreshToken.id).where(*_unused_child(parent)).limit(1)) is not None

    async def supersede_child(self, parent: RefreshToken) -> None:
        """Take the unused successor of `parent` out of use."""
        await self._session.execute(
            update(RefreshToken).where(*_unused_child(parent)).values(superseded_at=datetime.now(UTC))
        )

    async def end(self, session_id: str) -> bool:
        """End a session; whether it was still going on."""
        ended = await self._session.scalar(
            update(LoginSession)
            .where(LoginSession.id == session_id, LoginSession.ended_at.is_(None))
            .values(ended_at=datetime.now(UTC))
            .returning(LoginSession.id)
        )
        return ended is not None

    async def end_others(self, user_id: str, kept_session_id: str | None) -> Sequence[str]:
        """End every session of the user but one; returns the ids of those that ended."""
        statement = (
            update(LoginSession)
            .where(LoginSession.user_id == user_id, LoginSession.ended_at.is_(None))
            .values(ended_at=datetime.now(UTC))
            .returning(LoginSession.id)
        )
        if kept_session_id:
            statement = statement.where(LoginSession.id != kept_session_id)
        return (await self._session.scalars(statement)).all()

    async def end_in_tenant(self, tenant_id: str, user_id: str) -> None:
        """End every session of the user in this tenant."""
        await self._session.execute(
            update(LoginSession)
            .where(
                LoginSession.user_id == user_id, LoginSession.tenant_id == tenant_id, LoginSession.ended_at.is_(None)
            )
            .values(ended_at=datetime.now(UTC))
        )

    async def delete_expired(self) -> None:
        """Forget what can never be used again."""
        await self._session.execute(delete(LoginSession).where(LoginSession.expires_at <= datetime.now(UTC)))


def _unused_child(parent: RefreshToken) -> tuple[ColumnElement[bool], ...]:
    return (
        RefreshToken.parent_id == parent.id,
        RefreshToken.used_at.is_(None),
        RefreshToken.superseded_at.is_(None),
    )


def _digest(token: str) -> bytes:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode()).digest()
