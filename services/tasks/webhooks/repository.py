"""Every statement about webhooks and deliveries as their owners have them: each with the tenant."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.errors import TooManyWebhooks, WebhookDeliveryNotFound, WebhookExists, WebhookNotFound
from services.tasks.filters import first_id
from services.tasks.webhooks.domain import AttemptError, Covers, DeliveryStatus
from services.tasks.webhooks.models import Webhook, WebhookAttempt, WebhookDelivery
from services.tasks.webhooks.waiting import GIVE_UP_OF

MOST_OF_A_USER: Final = 50
MOST_OF_A_TENANT: Final = 100
MOST_COVERING: Final = 10
"""Of a tenant, that cover it: for each of these the end of any task writes a row."""
_LATE: Final = timedelta(minutes=1)  # longer than a delivery waits for its id
_TAKE_TURN: Final = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('tasks.webhooks:' || CAST(:tenant AS text), 0))"
)
_AGAIN: Final = {
    "status": DeliveryStatus.PENDING.value,
    "failures": 0,
    "error_code": None,
    "finished_at": None,
    "next_at": func.clock_timestamp(),
}


class WebhookRepository:
    """The webhooks of a tenant that a caller sees: those of `user_id`, or all (None)."""

    def __init__(self, session: AsyncSession, tenant_id: str, user_id: str | None) -> None:
        self._session, self._tenant_id = session, tenant_id
        self._of_the_tenant = (Webhook.tenant_id == tenant_id, Webhook.deleted_at.is_(None))
        self._theirs = (*self._of_the_tenant, *(() if user_id is None else (Webhook.user_id == user_id,)))

    async def create(self, row: dict[str, Any]) -> None:
        """Raises TooManyWebhooks, WebhookExists; of two at once one waits for the other here."""
        await self.require_new(row["user_id"], row["url"])
        counts = select(func.count(), func.count().filter(Webhook.user_id == row["user_id"]))
        of_all, of_user = (await self._session.execute(counts.where(*self._of_the_tenant))).one()
        if of_user >= MOST_OF_A_USER or of_all >= MOST_OF_A_TENANT:
            raise TooManyWebhooks(f"A user may have {MOST_OF_A_USER} webhooks, and a tenant {MOST_OF_A_TENANT}.")
        if row["covers"] == Covers.TENANT:
            await self.require_few_covering()
        await self._session.execute(insert(Webhook), [row])

    async def require_few_covering(self) -> None:
        """Raises TooManyWebhooks; nobody makes another until the transaction ends."""
        await self._session.execute(_TAKE_TURN, {"tenant": self._tenant_id})
        covering = (*self._of_the_tenant, Webhook.covers == Covers.TENANT.value)
        if (await self._session.scalar(select(func.count()).where(*covering)) or 0) >= MOST_COVERING:
            raise TooManyWebhooks(f"Of a tenant's webhooks {MOST_COVERING} may cover the tenant.")

    async def require_new(self, user_id: str, url: str) -> None:
        """Raises WebhookExists where the user has one with this URL; nobody makes one until the transaction ends."""
        await self._session.execute(_TAKE_TURN, {"tenant": self._tenant_id})
        same = select(Webhook.id).where(*self._of_the_tenant, Webhook.user_id == user_id, Webhook.url == url)
        if (webhook_id := await self._session.scalar(same)) is not None:
            raise WebhookExists(webhook_id)

    async def get(self, webhook_id: str, *, locked: bool = False) -> Webhook:
        """Raises WebhookNotFound. Locked it is still told of events: only who changes it waits."""
        statement = select(Webhook).where(*self._theirs, Webhook.id == webhook_id)
        webhook = await self._session.scalar(statement.with_for_update(key_share=True) if locked else statement)
        if webhook is None:
            raise WebhookNotFound
        return webhook

    async def give_up(self, webhook_id: str, limit: int) -> int:
        """Of one that is disabled, up to `limit` deliveries are not tried any more. How many."""
        which = {"webhook_id": webhook_id, "limit": limit, "code": AttemptError.DISABLED.value}
        given_up = await self._session.execute(GIVE_UP_OF, which)
        return int(given_up.rowcount)  # type: ignore[attr-defined]

    async def list_newest(self, after: str | None, limit: int) -> list[Webhook]:
        statement = select(Webhook).where(*self._theirs).order_by(Webhook.id.desc()).limit(limit)
        if after is not None:
            statement = statement.where(Webhook.id < after)
        return list((await self._session.scalars(statement)).all())


class DeliveryRepository:
    """The deliveries of one webhook, which was looked up as the caller's before."""

    def __init__(self, session: AsyncSession, tenant_id: str, webhook_id: str) -> None:
        self._session = session
        table = WebhookDelivery
        self._theirs = (table.webhook_id == webhook_id, table.tenant_id == tenant_id)

    async def add(self, row: dict[str, Any]) -> None:
        """A new one, unless its event has one already."""
        added = upsert(WebhookDelivery).values(row)
        await self._session.execute(added.on_conflict_do_nothing(index_elements=["webhook_id", "event_id"]))

    async def get(self, delivery_id: str) -> WebhookDelivery:
        """Raises WebhookDeliveryNotFound."""
        statement = select(WebhookDelivery).where(*self._theirs, WebhookDelivery.id == delivery_id)
        delivery = await self._session.scalar(statement)
        if delivery is None:
            raise WebhookDeliveryNotFound
        return delivery

    async def list_newest(
        self, after: str | None, limit: int, *, status: DeliveryStatus | None
    ) -> list[WebhookDelivery]:
        table = WebhookDelivery
        statement = select(table).where(*self._theirs).order_by(table.id.desc()).limit(limit)
        if status is not None:
            statement = statement.where(table.status == status.value)
        if after is not None:
            statement = statement.where(table.id < after)
        return list((await self._session.scalars(statement)).all())

    async def list_attempts(self, delivery_id: str) -> list[WebhookAttempt]:
        """Those that are kept, oldest first; the delivery is one of these."""
        table = WebhookAttempt
        statement = select(table).where(table.delivery_id == delivery_id).order_by(table.number)
        return list((await self._session.scalars(statement)).all())

    async def replay(self, delivery_id: str) -> WebhookDelivery:
        """Due now, with all its attempts before it; one that waits only comes sooner. Raises WebhookDeliveryNotFound.

        One that is being sent is sent once more, whatever comes of it.
        """
        which = (*self._theirs, WebhookDelivery.id == delivery_id)
        again = update(WebhookDelivery).where(*which).values(**_AGAIN, claims=WebhookDelivery.claims + 1)
        delivery: WebhookDelivery | None = await self._session.scalar(again.returning(WebhookDelivery))
        if delivery is None:
            raise WebhookDeliveryNotFound
        return delivery

    async def replay_failed(self, since: datetime, until: datetime | None, limit: int) -> Sequence[str]:
        """The ids of those that failed and are due again now: the oldest, up to `limit`.

        Who else has one in hand is waited for: fewer than `limit` are all there were.
        """
        table = WebhookDelivery
        end = until or datetime.now(UTC)
        which = (
            *self._theirs,
            table.status == DeliveryStatus.FAILED.value,
            table.id >= first_id(since),
            table.created_at >= since,
            table.id < first_id(end, _LATE),
            table.created_at <= end,
        )
        chosen = select(table.id).where(*which).order_by(table.id).limit(limit).with_for_update()
        again = update(table).where(table.id.in_(chosen)).values(**_AGAIN).returning(table.id)
        return (await self._session.scalars(again)).all()
