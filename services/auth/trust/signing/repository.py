"""Every statement about signing keys."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import SigningKey

_LOCK = 0x5A7A18  # any constant: rotations follow one another
# What a retired key signed is valid for at most 15 minutes; the rest is for replicas that hear of a rotation late.
_VERIFIES_AFTER_RETIREMENT = timedelta(minutes=20)


class SigningKeyRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add_unless_there(self, values: dict[str, Any]) -> None:
        """Only one key may be current and one next: a replica that loses the race adds nothing."""
        await self._session.execute(insert(SigningKey).values(**values).on_conflict_do_nothing())

    async def list_published(self) -> Sequence[SigningKey]:
        """Next, current, and the previous ones whose tokens may still be valid; oldest first."""
        return (await self._session.scalars(select(SigningKey).where(_is_published()).order_by(SigningKey.id))).all()

    async def list_published_ids(self) -> Sequence[str]:
        return (await self._session.scalars(select(SigningKey.id).where(_is_published()))).all()

    async def get_current_and_next(self) -> tuple[SigningKey, SigningKey]:
        """Both. Others who ask wait until the transaction ends, and then see what it made of them."""
        await self._session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        unretired = select(SigningKey).where(SigningKey.retired_at.is_(None)).order_by(SigningKey.id)
        rows = (await self._session.scalars(unretired)).all()
        (current,) = (row for row in rows if row.activated_at is not None)
        (following,) = (row for row in rows if row.activated_at is None)
        return current, following

    async def promote(self, current: SigningKey, following: SigningKey, successor: dict[str, Any]) -> None:
        """`following` signs from now on, `current` only verifies, and `successor` is published."""
        now = datetime.now(UTC)
        current.retired_at = now
        await self._session.flush()  # one at a time: at no moment may two be current
        following.activated_at = now
        await self._session.flush()
        self._session.add(SigningKey(**successor))
        await self._session.flush()


def _is_published() -> ColumnElement[bool]:
    return or_(SigningKey.retired_at.is_(None), SigningKey.retired_at > datetime.now(UTC) - _VERIFIES_AFTER_RETIREMENT)
