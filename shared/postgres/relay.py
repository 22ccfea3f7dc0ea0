"""How the outbox of a database is emptied: its rows are locked while they are published, and deleted then.

Several relays share the work through `SKIP LOCKED`.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from sqlalchemy import delete, select

from shared import messages
from shared.messages import Batch, OutgoingMessage, Publisher
from shared.postgres.database import Database
from shared.postgres.outbox import Outbox, OutboxMessage

_BATCH = 200


class OutboxRelay(messages.OutboxRelay):
    """Publishes what the table holds, oldest first; what was confirmed is deleted even when a neighbour failed."""

    def __init__(self, database: Database, outbox: Outbox, publisher: Publisher) -> None:
        super().__init__(_Rows(database, outbox), publisher, at_once=_BATCH, keeps_order=False)


class _Rows:
    """The rows of the table."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database, self._table = database, outbox.table
        self.wake = outbox.wake

    @asynccontextmanager
    async def taken(self, limit: int) -> AsyncIterator[Batch]:
        table = self._table
        oldest = select(table).order_by(table.id).limit(limit).with_for_update(skip_locked=True)
        async with self._database.transaction() as session:
            rows = (await session.scalars(oldest)).all()

            async def settle(published: Iterable[OutgoingMessage]) -> None:
                if ids := [message.id for message in published]:
                    await session.execute(delete(table).where(table.id.in_(ids)))

            yield Batch([_message(row) for row in rows], settle)


def _message(row: OutboxMessage) -> OutgoingMessage:
    return OutgoingMessage(row.id, row.exchange, row.routing_key, row.body, row.headers, row.priority)
