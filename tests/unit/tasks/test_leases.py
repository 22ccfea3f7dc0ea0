"""What the heartbeat had to write stays to be written until it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from services.tasks.domain import Claim
from services.tasks.settings import WorkerSettings
from services.tasks.worker.attempt import ProgressReport, Stop
from services.tasks.worker.leases import Leases
from shared.errors import Unavailable
from shared.postgres import Database

NOTHING: dict[str, Any] = dict.fromkeys(Claim.__dataclass_fields__)
CLAIM = Claim(**NOTHING | {"id": "task", "attempt": 1, "timeout_seconds": 60, "log_lines": 0, "log_dropped": 0})


class Away:
    """A database that is not there."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        raise Unavailable("postgres")
        yield


async def test_progress_that_could_not_be_written_is_written_with_the_next_beat() -> None:
    leases = Leases(cast("Database", Away()), WorkerSettings.model_construct(lease_seconds=30, heartbeat_seconds=1))
    with leases.hold(CLAIM) as attempt:
        attempt.report(ProgressReport(1, 2, "half"))
        with pytest.raises(Unavailable):
            await leases.beat()

        assert attempt.unwritten_progress == ProgressReport(1, 2, "half")
        attempt.progress_written = attempt.progress
        assert attempt.unwritten_progress is None


async def test_it_is_known_what_is_held_and_what_was() -> None:
    """Who found the claim before its attempt ended must not begin it once more afterwards."""
    leases = Leases(cast("Database", Away()), WorkerSettings.model_construct(lease_seconds=30, heartbeat_seconds=1))
    assert CLAIM not in leases
    with leases.hold(CLAIM):
        assert CLAIM in leases
    assert CLAIM in leases
    assert replace(CLAIM, attempt=2) not in leases


async def test_an_attempt_whose_end_could_not_be_recorded_may_go_on() -> None:
    leases = Leases(cast("Database", Away()), WorkerSettings.model_construct(lease_seconds=30, heartbeat_seconds=1))
    with pytest.raises(Unavailable), leases.hold(CLAIM):
        raise Unavailable("postgres")
    assert CLAIM not in leases


async def test_what_comes_to_be_held_after_all_was_stopped_is_stopped_too() -> None:
    leases = Leases(cast("Database", Away()), WorkerSettings.model_construct(lease_seconds=30, heartbeat_seconds=1))
    with leases.hold(CLAIM) as attempt:
        leases.stop_all(Stop.SHUTDOWN)
        with leases.hold(replace(CLAIM, id="late")) as late:
            assert (attempt.stop_reason, late.stop_reason) == (Stop.SHUTDOWN, Stop.SHUTDOWN)
