"""Every statement about refresh tokens."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import RefreshToken
from shared.ids import new_id


class RefreshTokenRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(self, *, user_id: str, scope: str, seconds: int, family_id: str | None = None) -> tuple[str, str]:
        """A new token, opening a family unless one is given; returns the token, kept only as a hash, and its family."""
        token = secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        row = RefreshToken(
            id=new_id(),
            family_id=family_id or new_id(),
            user_id=user_id,
            token_hash=_digest(token),
            scope=scope,
            created_at=now,
            expires_at=now + timedelta(seconds=seconds),
        )
        self._session.add(row)
        await self._session.flush()
        return token, row.family_id

    async def use(self, token: str) -> RefreshToken | None:
        """Take a token out of use; of many at once exactly one succeeds. None when it cannot be used."""
        now = datetime.now(UTC)
        return await self._session.scalar(
            update(RefreshToken)
            .where(
                RefreshToken.token_hash == _digest(token),
                RefreshToken.used_at.is_(None),
                RefreshToken.revoked_at.is_(None),
                RefreshToken.expires_at > now,
            )
            .values(used_at=now)
            .returning(RefreshToken)
        )

    async def find_used(self, token: str) -> RefreshToken | None:
        """A token that was exchanged before."""
        return await self._session.scalar(
            select(RefreshToken).where(RefreshToken.token_hash == _digest(token), RefreshToken.used_at.is_not(None))
        )

    async def revoke_family(self, family_id: str, user_id: str) -> None:
        await self._session.execute(
            update(RefreshToken)
            .where(
                RefreshToken.family_id == family_id,
                RefreshToken.user_id == user_id,
                RefreshToken.revoked_at.is_(None),
            )
            .values(revoked_at=datetime.now(UTC))
        )


def _digest(token: str) -> bytes:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode()).digest()
