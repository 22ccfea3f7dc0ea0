"""Has every secret of a webhook sealed with the first key, a few at once, so that older keys can be taken away.

Over all tenants; nobody is shown anything. Several workers may do it at once, beside who rotates secrets: a webhook is
changed only where its secrets are still as they were looked at.
"""

import logging
from collections import Counter
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.webhooks.models import Webhook
from services.tasks.webhooks.secrets import sealed_of
from shared.postgres import Database
from shared.resealing import Resealed, keep_resealing
from shared.sealing import Seal, Sealing

_log = logging.getLogger("tasks.webhooks")
_AT_ONCE: Final = 50


async def reseal_secrets(database: Database, seal: Seal) -> None:
    """As `keep_resealing`. Never returns."""
    await keep_resealing(lambda: reseal_once(database, seal), _log)


async def reseal_once(database: Database, seal: Seal) -> Resealed:
    """Look at the secrets of every webhook. Raises Unavailable; what was done until then stays."""
    total: Counter[str] = Counter()
    after: str | None = None
    while True:
        async with database.statements() as session:
            found = await _list_after(session, after)
        for webhook in found:
            total += await _reseal(database, seal, webhook)
        if len(found) < _AT_ONCE:
            return Resealed.of(total)
        after = found[-1].id


async def _list_after(session: AsyncSession, webhook_id: str | None) -> list[Webhook]:
    statement = select(Webhook).where(Webhook.deleted_at.is_(None)).order_by(Webhook.id).limit(_AT_ONCE)
    if webhook_id is not None:
        statement = statement.where(Webhook.id > webhook_id)
    return list((await session.scalars(statement)).all())


async def _reseal(database: Database, seal: Seal, webhook: Webhook) -> Counter[str]:
    """The secrets of one webhook that are valid; counted."""
    by = [seal.sealing(one) for one in sealed_of(webhook)]
    counted = Counter(secrets=len(by), unknown=by.count(Sealing.UNKNOWN))
    if older := by.count(Sealing.OLDER):
        async with database.transaction() as session:
            is_done = await session.scalar(_renewal(seal, webhook)) is not None
        counted += Counter({"renewed" if is_done else "overtaken": older})
    return counted


def _renewal(seal: Seal, webhook: Webhook) -> Any:
    """Answers the id of the webhook, unless it was rotated meanwhile. Its version stays: nobody is shown a change."""
    renewed = {
        "secret": _renewed(seal, webhook.secret),
        "older_secrets": [one | {"sealed": _renewed(seal, one["sealed"])} for one in webhook.older_secrets],
    }
    as_seen = (Webhook.id == webhook.id, Webhook.secret == webhook.secret)
    return update(Webhook).where(*as_seen, Webhook.deleted_at.is_(None)).values(renewed).returning(Webhook.id)


def _renewed(seal: Seal, sealed: str) -> str:
    """As it was where no key opens it."""
    return seal.renewed(sealed) if seal.sealing(sealed) is Sealing.OLDER else sealed
