"""What is kept has a bound: how long, and how many."""

from dataclasses import dataclass
from datetime import timedelta

from services.chat.settings import Settings


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long things are kept, and how many of them."""

    retention_ms: int
    lease_ms: int
    kept_seconds: int
    max_messages: int
    max_conversations: int
    max_queued: int = 10
    queue_seconds: float = 300.0

    @classmethod
    def of(cls, settings: Settings) -> "Bounds":
        return cls(
            retention_ms=timedelta(days=settings.retention_days) // timedelta(milliseconds=1),
            lease_ms=round(settings.run_lease_seconds * 1000),
            kept_seconds=settings.run_kept_seconds,
            max_messages=settings.max_messages,
            max_conversations=settings.max_conversations,
            max_queued=settings.max_queued,
            queue_seconds=settings.queue_seconds,
        )
