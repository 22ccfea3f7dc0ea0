"""What whoever delivers measures."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60)


class Instruments:
    """Counts attempts by outcome, and what waits."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sending = Gauge("tasks_webhooks_sending", "deliveries being sent by this worker", registry=registry)
        self.attempts = Histogram(
            "tasks_webhook_attempt_duration_seconds",
            "time until a receiver had answered",
            ["outcome"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.waiting = Gauge(
            "tasks_webhook_deliveries_waiting",
            "deliveries to enabled webhooks that have not arrived, all workers say the same",
            registry=registry,
        )
        self.late = Gauge(
            "tasks_webhook_deliveries_late_seconds",
            "since the oldest of these was due, all workers say the same",
            registry=registry,
        )
        self.disabled = Counter(
            "tasks_webhooks_disabled_total", "webhooks that were disabled by themselves", ["reason"], registry=registry
        )
        self.put_off = Counter(
            "tasks_webhook_deliveries_put_off_total",
            "deliveries that were not sent, since auth could not be asked whether they may be",
            registry=registry,
        )
