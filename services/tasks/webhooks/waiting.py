"""The statements that go over all webhooks for which something waits.

From one to the next by the index of what is pending: what one alone has a million of is not read.
"""

from typing import Final

from sqlalchemy import TextClause, text

_WAITING: Final = """
    WITH RECURSIVE waiting AS (
        (SELECT webhook_id FROM webhook_delivery WHERE status = 'pending' ORDER BY webhook_id LIMIT 1)
        UNION ALL
        SELECT (
            SELECT other.webhook_id FROM webhook_delivery AS other
            WHERE other.status = 'pending' AND other.webhook_id > waiting.webhook_id
            ORDER BY other.webhook_id LIMIT 1
        ) FROM waiting WHERE waiting.webhook_id IS NOT NULL
    )
"""
_GIVEN_UP: Final = """
    UPDATE webhook_delivery
    SET status = 'failed', error_code = :code, next_at = NULL, finished_at = clock_timestamp(), claims = claims + 1
    FROM chosen WHERE webhook_delivery.id = chosen.id
"""


def _of_waiting(rest: str) -> TextClause:
    return text(_WAITING + rest)


def _given_up(chosen: str) -> str:
    return chosen + _GIVEN_UP


LIST_DUE: Final = _of_waiting(
    """
    SELECT webhook.id, webhook.tenant_id, webhook.user_id, webhook.failing_since IS NOT NULL AS is_failing,
        (SELECT count(*) FROM (
            SELECT FROM webhook_delivery AS due
            WHERE due.webhook_id = webhook.id AND due.status = 'pending' AND due.next_at <= clock_timestamp()
            LIMIT :most
        ) AS counted) AS due
    FROM waiting JOIN webhook ON webhook.id = waiting.webhook_id
    WHERE webhook.is_enabled AND (webhook.held_until IS NULL OR webhook.held_until <= clock_timestamp())
    """
)
LIST_WAITING: Final = _of_waiting(
    """
    SELECT webhook.id, webhook.tenant_id,
        (SELECT count(*) FROM (
            SELECT FROM webhook_delivery AS other
            WHERE other.webhook_id = webhook.id AND other.status = 'pending'
            LIMIT :most + 1
        ) AS counted) AS count,
        (SELECT extract(epoch FROM clock_timestamp() - min(other.next_at))::float FROM webhook_delivery AS other
            WHERE other.webhook_id = webhook.id AND other.status = 'pending') AS late
    FROM waiting JOIN webhook ON webhook.id = waiting.webhook_id
    WHERE webhook.is_enabled
    """
)
# What is claimed is due again when the claim lapses: until then it is later than now, as nothing is that only waits.
LONGEST_LATE: Final = _of_waiting(
    """
    SELECT extract(epoch FROM clock_timestamp() - min(oldest.next_at))::float
    FROM waiting JOIN webhook ON webhook.id = waiting.webhook_id CROSS JOIN LATERAL (
        SELECT next_at FROM webhook_delivery AS due
        WHERE due.webhook_id = webhook.id AND due.status = 'pending' ORDER BY next_at LIMIT 1
    ) AS oldest
    WHERE webhook.is_enabled AND webhook.failing_since IS NULL
        AND (webhook.held_until IS NULL OR webhook.held_until <= clock_timestamp())
        AND NOT EXISTS (
            SELECT FROM webhook AS other JOIN webhook_delivery AS sent ON sent.webhook_id = other.id
            WHERE other.tenant_id = webhook.tenant_id AND other.is_enabled AND other.failing_since IS NULL
                AND sent.status = 'pending' AND sent.next_at > clock_timestamp()
        )
    """
)
GIVE_UP: Final = _of_waiting(
    _given_up("""
    , chosen AS (
        SELECT delivery.id FROM waiting
        JOIN webhook ON webhook.id = waiting.webhook_id AND NOT webhook.is_enabled
        JOIN webhook_delivery AS delivery ON delivery.webhook_id = webhook.id AND delivery.status = 'pending'
        LIMIT :limit FOR UPDATE OF delivery SKIP LOCKED
    )
    """)
)
GIVE_UP_OF: Final = text(
    _given_up("""
    WITH chosen AS (
        SELECT delivery.id FROM webhook
        JOIN webhook_delivery AS delivery ON delivery.webhook_id = webhook.id AND delivery.status = 'pending'
        WHERE webhook.id = :webhook_id AND NOT webhook.is_enabled
        LIMIT :limit FOR UPDATE OF delivery SKIP LOCKED
    )
    """)
)
# What one webhook keeps: all that is over and older than its latest so many. Both halves go by an index of its own.
PRUNE: Final = text(
    """
    WITH last AS (
        SELECT id FROM webhook_delivery WHERE webhook_id = :webhook_id ORDER BY id DESC OFFSET :most LIMIT 1
    ), chosen AS (
        SELECT delivery.id FROM webhook_delivery AS delivery, last
        WHERE delivery.webhook_id = :webhook_id AND delivery.status IN ('succeeded', 'failed')
            AND delivery.id <= last.id
        LIMIT :limit FOR UPDATE OF delivery SKIP LOCKED
    )
    DELETE FROM webhook_delivery USING chosen WHERE webhook_delivery.id = chosen.id
    """
)
