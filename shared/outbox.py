"""The transactional outbox: a message is written in the transaction of the change it tells of, and published after it.

The relay publishes with confirms and deletes what was confirmed, so a message is sent at least once and never for a
change that was rolled back. Several relays share the work through `SKIP LOCKED`.
"""

import asyncio
import logging
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import DateTime, LargeBinary, SmallInteger, Text, delete, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from shared import telemetry
from shared.db import Database
from shared.errors import ServiceError
from shared.ids import new_id
from shared.messaging import OutgoingMessage, Publisher

_log = logging.getLogger("shared.outbox")
_BATCH = 200
_IDLE_SECONDS = 1.0


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


class OutboxRelay:
    """Publishes what the outbox holds, oldest first, until it is stopped."""

    def __init__(self, database: Database, outbox: Outbox, publisher: Publisher) -> None:
        self._database, self._outbox, self._publisher = database, outbox, publisher

    async def run(self) -> None:
        """Never returns; a store or broker that is away is waited for."""
        while True:
            await self._publisher.ready()  # before rows are locked
            try:
                sent = await self.publish_batch()
            except ServiceError as error:
                _log.warning("outbox waits", extra={"fields": {"detail": error.detail}})
            except Exception:  # noqa: BLE001 - whatever it is, accepted messages must not stay behind for it
                _log.exception("outbox relay failed")
            else:
                if sent < _BATCH:
                    await self._wait()
                continue
            await asyncio.sleep(random.uniform(0.5, 1.5))

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._outbox.wake.wait()
        except TimeoutError:
            pass
        self._outbox.wake.clear()

    async def publish_batch(self) -> int:
        """Publish up to one batch; returns how many rows it took. Raises Unavailable when any was not confirmed.

        What was confirmed is deleted even when a neighbour failed.
        """
        table = self._outbox.table
        async with self._database.transaction() as session:
            rows = (
                await session.scalars(select(table).order_by(table.id).limit(_BATCH).with_for_update(skip_locked=True))
            ).all()
            outcomes = await asyncio.gather(*(self._publish(row) for row in rows), return_exceptions=True)
            confirmed = [row.id for row, outcome in zip(rows, outcomes, strict=True) if outcome is None]
            if confirmed:
                await session.execute(delete(table).where(table.id.in_(confirmed)))
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return len(rows)

    async def _publish(self, row: OutboxMessage) -> None:
        await self._publisher.publish(
            OutgoingMessage(row.id, row.exchange, row.routing_key, row.body, row.headers, row.priority)
        )
