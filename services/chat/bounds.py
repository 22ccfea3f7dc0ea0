"""What is kept has a bound: how long, how many, and how much."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from services.chat.domain import Owner
from services.chat.keeping import KeptLimits
from services.chat.runs.logs import LogLimits
from services.chat.settings import Settings
from services.chat.times import now, to_ms


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long things are kept, how many of them, and how many bytes of a user's and a tenant's conversations."""

    retention_ms: int
    lease_ms: int
    kept_seconds: int
    max_messages: int
    max_conversations: int
    max_queued: int = 10
    queue_seconds: float = 300.0
    retention_ms_by_tenant: Mapping[str, int] = field(default_factory=dict)
    kept: KeptLimits = field(default_factory=KeptLimits)
    logs: LogLimits = field(default_factory=LogLimits)

    @classmethod
    def of(cls, settings: Settings) -> "Bounds":
        return cls(
            retention_ms=_ms_of(settings.retention_days),
            lease_ms=round(settings.run_lease_seconds * 1000),
            kept_seconds=settings.run_kept_seconds,
            max_messages=settings.max_messages,
            max_conversations=settings.max_conversations,
            max_queued=settings.max_queued,
            queue_seconds=settings.queue_seconds,
            retention_ms_by_tenant={
                tenant_id: _ms_of(days) for tenant_id, days in settings.retention_days_by_tenant.items()
            },
            kept=KeptLimits(_bytes_of(settings.kept_mib_user), _bytes_of(settings.kept_mib_tenant)),
            logs=LogLimits.of(settings),
        )

    def retention_of(self, owner: Owner) -> int:
        """How long a conversation is kept after its last message, in ms: as its tenant has it."""
        return self.retention_ms_by_tenant.get(owner.tenant_id, self.retention_ms)

    def is_over(self, owner: Owner, last_activity_ms: int) -> bool:
        """Whether a conversation's time is over, though it may still lie in Redis: the tenant's was made shorter."""
        return last_activity_ms + self.retention_of(owner) <= to_ms(now())


def _ms_of(days: int) -> int:
    return timedelta(days=days) // timedelta(milliseconds=1)


def _bytes_of(mib: int | None) -> int | None:
    return None if mib is None else mib * 2**20
