"""Tokens that go by mail: random, kept only as a hash, good for one use and for a while."""

import hashlib
import secrets
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import MailedToken
from shared.schemas import new_id
from shared.words import Word


class Purpose(Word):
    """What the reader of the letter may do."""

    PROOF = "proof"
    MOVE = "move"
    PASSWORD = "password"  # noqa: S105 - what it is about


LIFE: Final = {
    Purpose.PROOF: timedelta(hours=24),
    Purpose.MOVE: timedelta(hours=24),
    Purpose.PASSWORD: timedelta(minutes=30),
}


class MailedTokens:
    """Every statement about them. Whoever uses one up has locked the account before."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(
        self,
        purpose: Purpose,
        email: str,
        user_id: str,
        *,
        tenant_id: str | None = None,
        name: str | None = None,
        password_hash: str | None = None,
        drafted_at: datetime | None = None,
    ) -> str:
        """A new token, to be told in the letter and nowhere else; with all of an account that is only drafted."""
        token, now = secrets.token_urlsafe(32), datetime.now(UTC)
        self._session.add(
            MailedToken(
                id=new_id(),
                purpose=purpose,
                email=email,
                user_id=user_id,
                token_hash=_digest(token),
                tenant_id=tenant_id,
                name=name,
                password_hash=password_hash,
                created_at=drafted_at or now,
                expires_at=now + LIFE[purpose],
            )
        )
        await self._session.flush()
        return token

    async def find(self, token: str, purposes: Collection[Purpose]) -> MailedToken | None:
        """One that can still be used; None for one that is unknown, used up or over, or of another purpose."""
        return await self._session.scalar(
            select(MailedToken).where(
                MailedToken.token_hash == _digest(token),
                MailedToken.purpose.in_(purposes),
                MailedToken.expires_at > datetime.now(UTC),
            )
        )

    async def use_up(self, token: MailedToken) -> bool:
        """Whether this was its one use: of many at once exactly one succeeds.

        With it goes every other letter to this address, or about this account. Locked in the order of their ids, or two
        who use up different ones could wait for each other.
        """
        return token.id in await self._delete(
            or_(MailedToken.email == token.email, MailedToken.user_id == token.user_id)
        )

    async def end(self, purpose: Purpose, user_id: str) -> None:
        """Letters of this purpose about the account, which is locked, lead nowhere from now on."""
        await self._delete(MailedToken.purpose == purpose, MailedToken.user_id == user_id)

    async def _delete(self, *which: ColumnElement[bool]) -> Sequence[str]:
        held = select(MailedToken.id).where(*which).order_by(MailedToken.id).with_for_update().cte("held")
        gone = delete(MailedToken).where(MailedToken.id.in_(select(held.c.id))).returning(MailedToken.id)
        return (await self._session.scalars(gone.execution_options(synchronize_session=False))).all()

    async def delete_expired(self) -> None:
        """Forget what can never be used again, and wait for nobody who is just using another up."""
        over = select(MailedToken.id).where(MailedToken.expires_at <= datetime.now(UTC))
        free = over.with_for_update(skip_locked=True).cte("free")
        await self._session.execute(delete(MailedToken).where(MailedToken.id.in_(select(free.c.id))))


def _digest(token: str) -> bytes:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode()).digest()
