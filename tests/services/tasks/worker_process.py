"""A real worker process that knows the test kinds: started by tests that kill it."""

import os
import signal

from services.tasks.worker.leases import Leases
from services.tasks.worker.main import create_app
from shared.platform import serve
from tests.services.tasks.kinds import TEST_KINDS

beat = Leases.beat


async def beat_and_halt(leases: Leases) -> None:
    """Stands still once it has written how far a task has come: whoever looks finds it so."""
    await beat(leases)
    if any(attempt.progress_written and attempt.progress_written.done for attempt in leases._held.values()):
        os.kill(os.getpid(), signal.SIGSTOP)


if os.environ.get("HALTS_HALFWAY"):
    Leases.beat = beat_and_halt  # type: ignore[assignment]

serve(lambda: create_app(kinds=TEST_KINDS))
