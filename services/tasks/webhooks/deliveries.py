"""What owners of webhooks do with deliveries: read the log, send again, try whether anything arrives."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.errors import WebhookDisabled
from services.tasks.events import Done, tell
from services.tasks.models import IdempotencyKeyRow
from services.tasks.rows import require_scopes
from services.tasks.visibility import submitter_of
from services.tasks.webhooks.domain import TEST, Covers, DeliveryStatus, scopes_of
from services.tasks.webhooks.models import Webhook, WebhookAttempt, WebhookDelivery
from services.tasks.webhooks.repository import DeliveryRepository, WebhookRepository
from services.tasks.webhooks.schemas import MOST_AT_ONCE, Replayed, ReplayFailed
from shared.door import Once
from shared.errors import Invalid
from shared.identity import Caller, deed
from shared.postgres import Database, EffectKey, IdempotencyKeys, Outbox
from shared.resources import CursorCodec, Slice
from shared.schemas import new_id


class Logged(NamedTuple):
    """A delivery with its attempts."""

    delivery: WebhookDelivery
    attempts: list[WebhookAttempt]


class DeliveryService:
    """Of the webhooks that the caller sees. Every method raises WebhookNotFound, Unavailable."""

    def __init__(self, database: Database, outbox: Outbox, cursors: CursorCodec) -> None:
        self._database, self._outbox, self._cursors = database, outbox, cursors

    async def list_page(
        self, caller: Caller, webhook_id: str, status: DeliveryStatus | None, limit: int, cursor: str | None
    ) -> Slice[WebhookDelivery]:
        """Newest first. Raises Invalid for a cursor of another list."""
        async with self._database.statements() as session:
            await _webhook(session, caller, webhook_id)
            deliveries = DeliveryRepository(session, caller.tenant_id, webhook_id)
            return await self._cursors.slice(
                lambda after, most: deliveries.list_newest(after, most, status=status),
                key=lambda delivery: delivery.id,
                scope=["deliveries", caller.tenant_id, webhook_id, status],
                limit=limit,
                cursor=cursor,
            )

    async def get(self, caller: Caller, webhook_id: str, delivery_id: str) -> Logged:
        """Raises WebhookDeliveryNotFound, MissingScope where the caller may not read what it tells of."""
        async with self._database.statements() as session:
            await _webhook(session, caller, webhook_id)
            deliveries = DeliveryRepository(session, caller.tenant_id, webhook_id)
            delivery = await deliveries.get(delivery_id)
            require_scopes(caller, _scopes_to_read(caller, delivery))
            return Logged(delivery, await deliveries.list_attempts(delivery_id))

    async def replay(self, caller: Caller, webhook_id: str, delivery_id: str) -> WebhookDelivery:
        """Due now, whatever became of it. Raises WebhookDeliveryNotFound, WebhookDisabled."""
        async with self._database.transaction() as session:
            webhook = await _webhook(session, caller, webhook_id)
            deliveries = DeliveryRepository(session, caller.tenant_id, webhook_id)
            await deliveries.get(delivery_id)
            _require_enabled(webhook)
            delivery = await deliveries.replay(delivery_id)
            tell(self._outbox, session, deed(caller, Done.WEBHOOK_REPLAYED, webhook_id))
        self._outbox.notify()
        return delivery

    async def replay_failed(self, caller: Caller, webhook_id: str, wanted: ReplayFailed) -> Replayed:
        """The oldest that failed are due now. Raises WebhookDisabled, Invalid for a time that ends before it begins."""
        if wanted.until is not None and wanted.until < wanted.since:
            raise Invalid.field("/until", "before_since", "It is before `since`.")
        async with self._database.transaction() as session:
            _require_enabled(await _webhook(session, caller, webhook_id))
            deliveries = DeliveryRepository(session, caller.tenant_id, webhook_id)
            count = len(await deliveries.replay_failed(wanted.since, wanted.until, MOST_AT_ONCE))
            if count:
                tell(self._outbox, session, deed(caller, Done.WEBHOOK_REPLAYED, webhook_id))
        self._outbox.notify()
        return Replayed(count=count, is_complete=count < MOST_AT_ONCE)

    async def test(self, caller: Caller, webhook_id: str, once: Once | None = None) -> WebhookDelivery:
        """A delivery of `webhook.test`; of a repetition of `once` the one that was made.

        Raises WebhookDisabled, IdempotencyKeyReused.
        """
        row = _test_of(caller, webhook_id)
        async with self._database.transaction() as session:
            _require_enabled(await _webhook(session, caller, webhook_id))
            deliveries = DeliveryRepository(session, caller.tenant_id, webhook_id)
            if once is not None:
                wanted = EffectKey(once.digest, once.of, str(row["id"]))
                stored = (await IdempotencyKeys(session, IdempotencyKeyRow).take([wanted]))[once.digest]
                if stored != wanted:
                    once.found(stored.of)
                    return await deliveries.get(stored.reference)
            await deliveries.add(row)
        return WebhookDelivery(**row)


async def _webhook(session: AsyncSession, caller: Caller, webhook_id: str) -> Webhook:
    """Raises WebhookNotFound."""
    return await WebhookRepository(session, caller.tenant_id, submitter_of(caller)).get(webhook_id)


def _require_enabled(webhook: Webhook) -> None:
    if not webhook.is_enabled:
        raise WebhookDisabled


def _scopes_to_read(caller: Caller, delivery: WebhookDelivery) -> list[str]:
    """What reading the event itself takes of this caller, whatever its webhook was made with."""
    if delivery.type == TEST:
        return []
    is_own = delivery.data.get("user_id") == caller.subject
    return sorted(scopes_of([delivery.type], Covers.OWN if is_own else Covers.TENANT))


def _test_of(caller: Caller, webhook_id: str) -> dict[str, Any]:
    delivery_id, now = new_id(), datetime.now(UTC)
    return {
        **dict.fromkeys(WebhookDelivery.__table__.columns.keys()),
        "id": delivery_id,
        "webhook_id": webhook_id,
        "tenant_id": caller.tenant_id,
        "event_id": f"test_{delivery_id.replace('-', '')}",
        "type": TEST,
        "at": now,
        "data": {"webhook_id": webhook_id, "user_id": caller.subject},
        "status": DeliveryStatus.PENDING.value,
        "claims": 0,
        "failures": 0,
        "next_at": now,
        "created_at": now,
    }
