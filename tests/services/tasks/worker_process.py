"""A real worker process that knows the test kinds: started by tests that kill it."""

import asyncio
import os
import signal
from typing import Any

from services.tasks.worker.context import AttemptContext
from services.tasks.worker.leases import Leases
from services.tasks.worker.main import create_app
from shared.platform import serve
from tests.services.tasks.kinds import TEST_KINDS

beat, call = Leases.beat, AttemptContext.call
has_halted, may_go_on = asyncio.Event(), asyncio.Event()


async def beat_and_halt(leases: Leases) -> None:
    """Stands still once it has written how far a task has come: whoever looks finds it so.

    Told to go on it looks first of all whether the task is to stop.
    """
    await beat(leases)
    is_halfway = any(attempt.progress_written and attempt.progress_written.done for attempt in leases._held.values())
    if is_halfway and not has_halted.is_set():
        has_halted.set()
        os.kill(os.getpid(), signal.SIGSTOP)
        await beat(leases)
        may_go_on.set()


async def call_and_wait(context: AttemptContext, *asked: Any, **named: Any) -> Any:
    """Halfway there is one call more, whose answer nobody hears before that: else the task might end meanwhile."""
    answer = await call(context, *asked, **named)
    if (progress := context._attempt.progress) and progress.done:
        await may_go_on.wait()
    return answer


if os.environ.get("HALTS_HALFWAY"):
    Leases.beat = beat_and_halt  # type: ignore[assignment]
    AttemptContext.call = call_and_wait  # type: ignore[method-assign, assignment]

serve(lambda: create_app(kinds=TEST_KINDS))
