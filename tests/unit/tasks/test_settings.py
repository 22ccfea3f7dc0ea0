"""A worker whose settings contradict each other does not start."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.tasks.settings import WorkerSettings
from shared.postgres.opening import _POOL_SIZE

NEEDED: dict[str, Any] = {
    "environment": "local",
    "redis_url": "redis://127.0.0.1",
    "rabbitmq_url": "amqp://127.0.0.1",
    "database_url": "postgresql+asyncpg://127.0.0.1/",
    "cursor_secret": "x" * 32,
    "client_secret": "x" * 32,
    "secret_encryption_key": "k" * 44,
}


def test_the_defaults_fit_together() -> None:
    settings = WorkerSettings(**NEEDED)

    assert sum(settings.slots.values()) <= 4 * _POOL_SIZE, "each has one for a statement as it begins, and as it ends"


@pytest.mark.parametrize("change", [{"client_secret": "short"}, {"lease_seconds": 2, "heartbeat_seconds": 1}])
def test_settings_that_cannot_work_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WorkerSettings(**NEEDED | change)
