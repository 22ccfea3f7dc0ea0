"""What a worker measures."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900)


class Instruments:
    """Counts attempts by kind and outcome, and what is put off, refused or deleted."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["kind", "outcome"]
        self.running = Gauge("tasks_running", "attempts running in this worker", ["kind"], registry=registry)
        self.attempts = Histogram(
            "tasks_attempt_duration_seconds", "time an attempt ran", labels, buckets=_BUCKETS, registry=registry
        )
        self.late = Histogram(
            "tasks_start_lag_seconds",
            "from when a task could have begun to its attempt",
            ["priority"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.put_off = Counter(
            "tasks_put_off_total",
            "tasks that wait for a place of their user's or tenant's share, or of their kind",
            registry=registry,
        )
        self.refused = Counter(
            "tasks_claims_refused_total", "messages whose task was not there to be had", registry=registry
        )
        self.deleted = Counter(
            "tasks_deleted_total", "tasks that were kept for as long as they were to be", ["kind"], registry=registry
        )
