"""What tasks tells auth that was done, for the audit log, in the transaction of the change."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from shared.identity import DEED_DONE, Deed
from shared.messages import EVENTS_EXCHANGE
from shared.postgres import Outbox
from shared.words import Word


class Done(Word):
    """To a task, a schedule or a webhook, by its id, or by a task to a collection, by its name."""

    CANCELLED = "task.cancelled"
    REPLAYED = "task.replayed"
    DISCARDED = "task.discarded"
    SCHEDULE_CREATED = "schedule.created"
    SCHEDULE_UPDATED = "schedule.updated"
    SCHEDULE_PAUSED = "schedule.paused"
    SCHEDULE_RESUMED = "schedule.resumed"
    SCHEDULE_DELETED = "schedule.deleted"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_UPDATED = "webhook.updated"
    WEBHOOK_ROTATED = "webhook.rotated"
    WEBHOOK_REPLAYED = "webhook.replayed"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_DELETED = "webhook.deleted"
    EXPORTED = "collection.exported"
    IMPORTED = "collection.imported"


@dataclass(frozen=True, slots=True)
class Told:
    """What a task that succeeded has done which no other service tells of."""

    action: Done
    target: str
    details: dict[str, int | str]


def tell(outbox: Outbox, session: AsyncSession, deed: Deed) -> None:
    """Together with what was done; who commits notifies the outbox."""
    outbox.add(session, exchange=EVENTS_EXCHANGE, routing_key=DEED_DONE, body=deed.body)
