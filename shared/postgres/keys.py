"""Idempotency keys beside the effects they stand for, in the transaction that has both."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, LargeBinary, Text, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

KEPT = timedelta(hours=24)


class IdempotencyKeyRecord:
    """Mixin of the table of keys: `class IdempotencyKeyRow(IdempotencyKeyRecord, Base)`."""

    __tablename__ = "idempotency_key"

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    of: Mapped[bytes] = mapped_column(LargeBinary)
    reference: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


class IdempotencyKeys:
    """The keys of one service, seen by one transaction."""

    def __init__(self, session: AsyncSession, table: type[IdempotencyKeyRecord]) -> None:
        self._session, self._table = session, table

    async def take(self, wanted: Sequence[tuple[bytes, bytes, str]]) -> dict[bytes, tuple[bytes, str]]:
        """Store `(digest, of, reference)` of each effect that is about to be made; answers those that are there.

        Of the latter, by digest, the first request's `of` and reference; their effect must not be made again. Who takes
        the same key at the same time waits here until the other's transaction has ended.
        """
        if not wanted:
            return {}
        now = datetime.now(UTC)
        rows: list[dict[str, Any]] = [
            {"digest": digest, "of": of, "reference": reference, "created_at": now}
            for digest, of, reference in sorted(wanted)  # in one order, so that two batches cannot wait for each other
        ]
        statement = insert(self._table).values(rows).on_conflict_do_nothing().returning(self._table.digest)
        taken = set(await self._session.scalars(statement))
        known = [row["digest"] for row in rows if row["digest"] not in taken]
        if not known:
            return {}
        found = await self._session.execute(
            select(self._table.digest, self._table.of, self._table.reference).where(self._table.digest.in_(known))
        )
        return {digest: (of, reference) for digest, of, reference in found}

    async def delete_old(self) -> None:
        """Forget keys that nobody may repeat any more."""
        await self._session.execute(delete(self._table).where(self._table.created_at < datetime.now(UTC) - KEPT))
