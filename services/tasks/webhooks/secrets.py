"""The secrets of a webhook: the one that its receiver should know, and those it is rotated away from."""

from datetime import UTC, datetime, timedelta

from services.tasks.errors import RotatedTooOften
from services.tasks.webhooks.domain import MOST_OLDER_SECRETS
from services.tasks.webhooks.models import Webhook
from shared.schemas import rfc3339


def rotated(webhook: Webhook, overlap: timedelta) -> list[dict[str, str]]:
    """The older ones once the present one is one of them; none without an overlap. Raises RotatedTooOften."""
    if not overlap:
        return []
    older = _valid(webhook)
    if len(older) >= MOST_OLDER_SECRETS:
        raise RotatedTooOften(MOST_OLDER_SECRETS)
    return [{"sealed": webhook.secret, "expires_at": rfc3339(datetime.now(UTC) + overlap)}, *older]


def sealed_of(webhook: Webhook) -> tuple[str, ...]:
    """All that messages are signed with now, the newest first."""
    return (webhook.secret, *(one["sealed"] for one in _valid(webhook)))


def valid_until(webhook: Webhook) -> list[datetime]:
    """When those that are valid besides the present one end."""
    return [datetime.fromisoformat(one["expires_at"]) for one in _valid(webhook)]


def _valid(webhook: Webhook) -> list[dict[str, str]]:
    now = datetime.now(UTC)
    return [one for one in webhook.older_secrets if datetime.fromisoformat(one["expires_at"]) > now]
