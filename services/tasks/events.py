"""What tasks tells auth that was done, for the audit log, in the transaction of the change."""

from sqlalchemy.ext.asyncio import AsyncSession

from shared.identity import DEED_DONE, Deed
from shared.messages import EVENTS_EXCHANGE
from shared.postgres import Outbox
from shared.words import Word


class Done(Word):
    """To a task, by its id."""

    CANCELLED = "task.cancelled"


def tell(outbox: Outbox, session: AsyncSession, deed: Deed) -> None:
    """Together with what was done; who commits notifies the outbox."""
    outbox.add(session, exchange=EVENTS_EXCHANGE, routing_key=DEED_DONE, body=deed.body)
