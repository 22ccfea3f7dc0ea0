"""Idempotency keys beside the effects they stand for, in the transaction that has both."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ARRAY, DateTime, LargeBinary, Text, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

_KEPT = timedelta(hours=24)


class IdempotencyKeyRecord:
    """Mixin of the table of keys: `class IdempotencyKeyRow(IdempotencyKeyRecord, Base)`."""

    __tablename__ = "idempotency_key"

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    of: Mapped[bytes] = mapped_column(LargeBinary)
    reference: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


class EffectKey(NamedTuple):
    """A key, the request it came with, and what was made for it."""

    digest: bytes
    of: bytes
    reference: str


class IdempotencyKeys:
    """The keys of one service, seen by one transaction."""

    def __init__(self, session: AsyncSession, table: type[IdempotencyKeyRecord]) -> None:
        self._session, self._table = session, table

    async def take(self, wanted: Sequence[EffectKey]) -> dict[bytes, EffectKey]:
        """Store the key of each effect that is about to be made; answers by digest what is stored.

        Where that has another reference, the effect is there already and must not be made again. Who takes the same
        key at the same time waits here until the other's transaction has ended. One statement, two where keys are
        there already.
        """
        table = self._table
        ordered = sorted(wanted)  # in one order, so that two batches cannot wait for each other
        columns = [
            func.unnest(literal([key[at] for key in ordered], ARRAY(kind)))
            for at, kind in enumerate((LargeBinary, LargeBinary, Text))
        ]
        statement = (
            insert(table)
            .from_select(["digest", "of", "reference", "created_at"], select(*columns, literal(datetime.now(UTC))))
            .on_conflict_do_nothing()
            .returning(table.digest, table.of, table.reference)
        )
        stored = {row[0]: EffectKey(*row) for row in await self._session.execute(statement)}
        known = {key.digest for key in ordered} - stored.keys()
        return stored | (await self._find(known) if known else {})

    async def find(self, digest: bytes) -> EffectKey | None:
        """The key, if its effect is there."""
        return (await self._find({digest})).get(digest)

    async def _find(self, digests: set[bytes]) -> dict[bytes, EffectKey]:
        table = self._table
        statement = select(table.digest, table.of, table.reference).where(table.digest.in_(digests))
        return {row[0]: EffectKey(*row) for row in await self._session.execute(statement)}

    async def delete_old(self) -> None:
        """Forget keys that nobody may repeat any more."""
        await self._session.execute(delete(self._table).where(self._table.created_at < datetime.now(UTC) - _KEPT))
