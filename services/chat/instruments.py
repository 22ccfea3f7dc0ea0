"""What chat measures of its runs, and the one log line each of them leaves."""

import logging

from prometheus_client import CollectorRegistry, Histogram

from services.chat.domain import Turn

_log = logging.getLogger("chat.runs")
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)


class Instruments:
    """Prometheus instruments in the registry of the service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.first_token = Histogram(
            "chat_model_first_token_seconds",
            "from asking the model to its first text",
            buckets=_SECONDS,
            registry=registry,
        )
        self._runs = Histogram(
            "chat_run_duration_seconds", "a whole turn", ["outcome"], buckets=_SECONDS, registry=registry
        )

    def run_ended(self, turn: Turn, outcome: str, seconds: float) -> None:
        """`outcome` is `completed` or the code of the error."""
        self._runs.labels(outcome).observe(seconds)
        _log.info(
            "run", extra={"fields": {**turn.ids, "door": turn.door, "outcome": outcome, "ms": round(seconds * 1000, 1)}}
        )
