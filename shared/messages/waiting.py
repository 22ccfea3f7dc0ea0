"""Whether an outbox is emptied, whatever store it lies in."""

from datetime import UTC, datetime
from typing import Final

from shared.health import Finding

OUTBOX_REMEDY: Final = "look at rabbitmq, then at the log of this service"
_WAITS_SECONDS: Final = 30.0  # longer than a relay's pause, its retries and a broker's restart together


def require_published(oldest: datetime | None) -> None:
    """Raises Finding when the `oldest` message has waited for longer than a broker that works would let it.

    Then nobody publishes. None is an empty outbox.
    """
    seconds = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
    if seconds > _WAITS_SECONDS:
        raise Finding(f"the oldest message has waited {seconds:.0f} s to be published")
