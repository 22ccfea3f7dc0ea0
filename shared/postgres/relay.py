"""Publishes what the outbox holds, with confirms, and deletes what was confirmed.

So a message is sent at least once. Several relays share the work through `SKIP LOCKED`.
"""

import asyncio
import logging

from sqlalchemy import delete, select

from shared.loops import keep
from shared.messages import OutgoingMessage, Publisher
from shared.postgres.database import Database
from shared.postgres.outbox import Outbox, OutboxMessage

_log = logging.getLogger("shared.postgres")
_BATCH = 200
_IDLE_SECONDS = 1.0


class OutboxRelay:
    """Publishes what the outbox holds, oldest first, until it is stopped."""

    def __init__(self, database: Database, outbox: Outbox, publisher: Publisher) -> None:
        self._database, self._outbox, self._publisher = database, outbox, publisher

    async def run(self) -> None:
        """Never returns; a store or broker that is away is waited for."""
        await keep(self._publish_some, log=_log, every_seconds=_IDLE_SECONDS, wake=self._outbox.wake)

    async def _publish_some(self) -> bool:
        """Whether there may be more."""
        await self._publisher.ready()  # before rows are locked
        return await self.publish_batch() >= _BATCH

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
