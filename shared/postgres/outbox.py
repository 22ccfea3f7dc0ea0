"""The transactional outbox: a message is written in the transaction of the change it tells of.

It is never published for a change that was rolled back.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import DateTime, LargeBinary, SmallInteger, Text, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from shared import telemetry
from shared.messages import require_published
from shared.postgres.database import Database
from shared.schemas import new_id


class OutboxMessage:
    """Mixin of the table that holds unsent messages: `class Outbox(OutboxMessage, Base)`."""

    __tablename__ = "outbox"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    exchange: Mapped[str] = mapped_column(Text)
    routing_key: Mapped[str] = mapped_column(Text)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    priority: Mapped[int | None] = mapped_column(SmallInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Outbox:
    """Writes messages into the caller's transaction and wakes the relay."""

    def __init__(self, table: type[OutboxMessage]) -> None:
        self.table = table
        self.wake = asyncio.Event()

    def add(self, session: AsyncSession, **message: Any) -> str:
        """Queue a message (see `compose`) with this transaction; returns its id. Call `notify` after the commit."""
        row = self.compose(**message)
        session.add(self.table(**row))
        return str(row["id"])

    def compose(
        self,
        *,
        exchange: str,
        routing_key: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        priority: int | None = None,
    ) -> dict[str, Any]:
        """The row of a new message, for a bulk insert. It carries the current trace, unless `headers` name another."""
        carried = dict(headers or {})
        if "traceparent" not in carried:
            telemetry.inject(carried)
        return {
            "id": new_id(),
            "exchange": exchange,
            "routing_key": routing_key,
            "body": orjson.dumps(body),
            "headers": carried,
            "priority": priority,
            "created_at": datetime.now(UTC),
        }

    def notify(self) -> None:
        """Have the relay of this process look now instead of at its next round."""
        self.wake.set()

    async def oldest(self, database: Database) -> datetime | None:
        """Since when the oldest message waits; None when none does. Raises Unavailable."""
        oldest = select(self.table.created_at).order_by(self.table.id).limit(1)  # ids are in the order of time
        async with database.statements() as session:
            return await session.scalar(oldest)

    async def check(self, database: Database) -> None:
        """Raises Finding when its oldest message waits for too long, Unavailable."""
        require_published(await self.oldest(database))
