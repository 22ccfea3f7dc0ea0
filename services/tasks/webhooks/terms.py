"""On which terms deliveries are made, as the settings say."""

from dataclasses import dataclass

from services.tasks.settings import WorkerSettings
from services.tasks.webhooks.domain import Waits


@dataclass(frozen=True, slots=True)
class Terms:
    """Of one worker."""

    seconds: float
    """For a receiver to answer."""
    waits: Waits
    failing_days: float
    """Without a success; then the webhook is disabled."""
    most_waiting: int
    """Deliveries of one webhook."""
    most_waiting_of_a_tenant: int
    places: int
    """Deliveries at once."""
    of_a_webhook: int
    """Of these, to one webhook."""

    @classmethod
    def of(cls, settings: WorkerSettings) -> "Terms":
        return cls(
            seconds=settings.webhook_timeout_seconds,
            waits=Waits(tuple(settings.webhook_waits)),
            failing_days=settings.webhook_failing_days,
            most_waiting=settings.webhook_max_waiting,
            most_waiting_of_a_tenant=settings.webhook_max_waiting_of_tenant,
            places=settings.webhook_slots,
            of_a_webhook=settings.webhook_slots_each,
        )
