"""Every statement of whoever delivers: which webhooks have something due, a claim of it, and what came of it.

A claim lapses by itself, so what a process that was killed had in its hands is sent again, with the same id. It is
numbered: what a process says of a claim that another has taken since changes the delivery no more.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Text, cast, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.webhooks.domain import (
    MOST_ATTEMPTS_KEPT,
    WHY_DISABLED,
    AttemptError,
    Claimed,
    DeliveryStatus,
    EventType,
    Outcome,
    Waiting,
)
from services.tasks.webhooks.models import Webhook, WebhookAttempt, WebhookDelivery
from services.tasks.webhooks.secrets import sealed_of
from services.tasks.webhooks.waiting import GIVE_UP, LIST_DUE, LIST_WAITING, PRUNE
from shared.schemas import new_id

_IS_PENDING: Final = WebhookDelivery.status == DeliveryStatus.PENDING.value


@dataclass(frozen=True, slots=True)
class Due:
    """A webhook that has something due: up to `count` deliveries."""

    webhook_id: str
    tenant_id: str
    user_id: str
    is_failing: bool
    count: int


class ClaimRepository:
    """Of all tenants: the worker delivers for everybody."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list_due(self, most: int) -> list[Due]:
        """The webhooks that may be asked now and have something due; `most` is how far it is counted."""
        found = await self._session.execute(LIST_DUE, {"most": most})
        return [Due(str(row[0]), *row[1:]) for row in found if row.due]

    async def claim(self, webhook_id: str, seconds: float) -> Claimed | None:
        """What is due for longest, for `seconds`; None where there is nothing, or the webhook may not be asked."""
        table = WebhookDelivery
        may = [Webhook.is_enabled, or_(Webhook.held_until.is_(None), Webhook.held_until <= func.clock_timestamp())]
        webhook = await self._session.scalar(select(Webhook).where(Webhook.id == webhook_id, *may))
        if webhook is None:
            return None
        first = (
            select(table.id)
            .where(table.webhook_id == webhook_id, _IS_PENDING, table.next_at <= func.clock_timestamp())
            .order_by(table.next_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        until = func.clock_timestamp() + timedelta(seconds=seconds)
        claim = update(table).where(table.id == first.scalar_subquery()).values(claims=table.claims + 1, next_at=until)
        delivery = await self._session.scalar(claim.returning(table))
        return _claimed(delivery, webhook) if delivery else None

    async def put_off(self, claimed: Claimed, seconds: float) -> None:
        """Claimed by nobody, and due in `seconds`: nothing was asked of the receiver."""
        later = {"next_at": func.clock_timestamp() + timedelta(seconds=seconds)}
        await self._session.execute(update(WebhookDelivery).where(*_held(claimed)).values(later))

    async def settle(self, claimed: Claimed, outcome: Outcome, next_in: float | None) -> None:
        """Write the attempt down. One that failed is due again `next_in` seconds from now, or never (None).

        The delivery itself stays as it is where another has claimed it since, or where it was deleted.
        """
        table = WebhookDelivery
        if await self._session.scalar(select(table.id).where(table.id == claimed.id).with_for_update()) is None:
            return
        await self._write_attempt(claimed, outcome)
        values: dict[str, Any] = {"error_code": outcome.error, "next_at": None, "finished_at": func.clock_timestamp()}
        if outcome.error is None:
            values["status"] = DeliveryStatus.SUCCEEDED.value
        else:
            values["failures"] = claimed.failures + 1
            values["status"] = DeliveryStatus.FAILED.value
            if next_in is not None:
                due = func.clock_timestamp() + timedelta(seconds=next_in)
                values |= {"status": DeliveryStatus.PENDING.value, "next_at": due, "finished_at": None}
        await self._session.execute(update(table).where(*_held(claimed)).values(values))

    async def _write_attempt(self, claimed: Claimed, outcome: Outcome) -> None:
        attempt = {
            "delivery_id": claimed.id,
            "number": claimed.number,
            "at": outcome.at,
            "duration_ms": outcome.milliseconds,
            "status_code": outcome.status_code,
            "error_code": outcome.error,
            "error_detail": outcome.detail,
            "answer": outcome.answer,
        }
        table = WebhookAttempt
        await self._session.execute(insert(table), [attempt])
        if claimed.number > MOST_ATTEMPTS_KEPT:
            is_old = table.number <= claimed.number - MOST_ATTEMPTS_KEPT
            await self._session.execute(delete(table).where(table.delivery_id == claimed.id, is_old))

    async def note_success(self, claimed: Claimed) -> None:
        """The webhook is failing no more. It is not written to while it was not.

        How long it asked to be left alone stays: what arrived may have been on its way when it asked.
        """
        healed = update(Webhook).where(*_as_claimed(claimed), Webhook.failing_since.is_not(None))
        await self._session.execute(healed.values(failing_since=None))

    async def note_failure(self, claimed: Claimed, outcome: Outcome, held_seconds: float) -> timedelta:
        """For how long every attempt of the webhook has failed. It is left alone for `held_seconds`.

        Nothing is noted of one that goes elsewhere, or acts with something else, by now.
        """
        values: dict[str, Any] = {"failing_since": func.coalesce(Webhook.failing_since, outcome.at)}
        if held_seconds:
            values["held_until"] = func.clock_timestamp() + timedelta(seconds=held_seconds)
        noted = update(Webhook).where(*_as_claimed(claimed)).values(values).returning(Webhook.failing_since)
        since = await self._session.scalar(noted)
        return outcome.at - since if since else timedelta()

    async def disable(self, webhook_id: str, code: str, claimed: Claimed | None = None) -> Webhook | None:
        """The webhook, unless it was disabled already. What its maker's other webhooks are told of it is written.

        For what came of `claimed` it is disabled only as it was then: what its maker has mended since stays.
        """
        values = {
            "is_enabled": False,
            "error_code": code,
            "error_detail": WHY_DISABLED[code],
            "disabled_at": func.clock_timestamp(),
            "version": Webhook.version + 1,
        }
        which = _as_claimed(claimed) if claimed else (Webhook.id == webhook_id,)
        disabled = update(Webhook).where(*which, Webhook.is_enabled).values(values)
        webhook = await self._session.scalar(disabled.returning(Webhook))
        if webhook is not None:
            data = {"webhook_id": webhook_id, "user_id": webhook.user_id, "error_code": code}
            event_id = f"webhook_{new_id().replace('-', '')}"
            await self.tell(
                event_id, webhook.tenant_id, webhook.user_id, EventType.WEBHOOK_DISABLED, data, datetime.now(UTC)
            )
        return webhook

    async def tell(
        self, event_id: str, tenant_id: str, user_id: str, type_: str, data: dict[str, Any], at: datetime
    ) -> None:
        """A delivery for each webhook that wants to know, once however often it is told."""
        told = func.tell_webhooks(event_id, tenant_id, user_id, type_, cast(None, Text), at, cast(data, JSONB))
        await self._session.execute(select(told))

    async def list_waiting(self, most: int) -> list[Waiting]:
        """The enabled webhooks for which something waits, counted to one more than `most`."""
        return [Waiting(str(row[0]), *row[1:]) for row in await self._session.execute(LIST_WAITING, {"most": most})]

    async def give_up(self, limit: int) -> int:
        """Of webhooks that are disabled: up to `limit` deliveries are not tried any more. How many."""
        given_up = await self._session.execute(GIVE_UP, {"limit": limit, "code": AttemptError.DISABLED.value})
        return int(given_up.rowcount)  # type: ignore[attr-defined]

    async def delete_old(self, days: float, limit: int) -> int:
        """Up to `limit` deliveries with their attempts, of so many days ago or of webhooks that are gone. How many."""
        table = WebhookDelivery
        old = select(table.id).where(table.created_at < func.now() - timedelta(days=days)).order_by(table.created_at)
        gone = select(table.id).join(Webhook, Webhook.id == table.webhook_id).where(Webhook.deleted_at.is_not(None))
        count = 0
        for which in (old, gone):
            batch = which.limit(limit).with_for_update(skip_locked=True, of=table)
            deleted = await self._session.scalars(delete(table).where(table.id.in_(batch)).returning(table.id))
            count += len(deleted.all())
        return count

    async def list_after(self, webhook_id: str | None, limit: int) -> list[str]:
        """The next webhooks in the order of their ids, from the first one for None."""
        statement = select(Webhook.id).order_by(Webhook.id).limit(limit)
        if webhook_id is not None:
            statement = statement.where(Webhook.id > webhook_id)
        return [str(found) for found in await self._session.scalars(statement)]

    async def prune(self, webhook_id: str, most: int, limit: int) -> int:
        """Up to `limit` of its deliveries that are over, and older than its latest `most`, are deleted. How many."""
        pruned = await self._session.execute(PRUNE, {"webhook_id": webhook_id, "most": most, "limit": limit})
        return int(pruned.rowcount)  # type: ignore[attr-defined]

    async def delete_gone(self, limit: int) -> None:
        """Up to `limit` webhooks that were deleted a minute ago or longer, and have no deliveries any more."""
        has_none = ~select(WebhookDelivery.id).where(WebhookDelivery.webhook_id == Webhook.id).exists()
        is_old = Webhook.deleted_at < func.now() - timedelta(minutes=1)  # nothing that was told before comes after it
        batch = select(Webhook.id).where(is_old, has_none).limit(limit)
        await self._session.execute(delete(Webhook).where(Webhook.id.in_(batch)))


def _held(claimed: Claimed) -> tuple[Any, ...]:
    """That nobody else has claimed it since, and nobody said that it is to be sent again."""
    return (WebhookDelivery.id == claimed.id, WebhookDelivery.claims == claimed.number, _IS_PENDING)


def _as_claimed(claimed: Claimed) -> tuple[Any, ...]:
    """That the webhook goes where it went, and acts with what it acted with."""
    return (
        Webhook.id == claimed.webhook_id,
        Webhook.url == claimed.url,
        Webhook.key_id.is_not_distinct_from(claimed.key_id),
        Webhook.session_id.is_not_distinct_from(claimed.session_id),
        Webhook.scopes == claimed.scopes,
    )


def _claimed(delivery: WebhookDelivery, webhook: Webhook) -> Claimed:
    return Claimed(
        id=delivery.id,
        number=delivery.claims,
        failures=delivery.failures,
        event_id=delivery.event_id,
        type=delivery.type,
        at=delivery.at,
        data=delivery.data,
        webhook_id=webhook.id,
        url=webhook.url,
        sealed=sealed_of(webhook),
        tenant_id=webhook.tenant_id,
        user_id=webhook.user_id,
        key_id=webhook.key_id,
        session_id=webhook.session_id,
        scopes=webhook.scopes,
    )
