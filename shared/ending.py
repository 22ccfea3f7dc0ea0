"""Ends tasks for certain: what a task waits for may swallow a cancel, so one cancel is no end.

CPython 3.11's `asyncio.wait_for` drops a cancel that meets a result that has just come, and libraries use it. Whoever
ends a task here asks again until it is done, within a bound, and says so when it is not.
"""

import asyncio
import io
import logging
import time

from prometheus_client import Counter

_log = logging.getLogger("shared.ending")
_AGAIN_SECONDS = 0.5  # for what a task still has to put in order
_BOUND_SECONDS = 5.0
UNENDED = Counter("tasks_unended_total", "tasks that went on although they were told to end", registry=None)
"""Counts over the process; every service's metrics show it."""


async def end(*tasks: "asyncio.Task[object]", within_seconds: float = _BOUND_SECONDS) -> bool:
    """Cancel `tasks` until they are done. False, logged with its stack, when one goes on after `within_seconds`."""
    give_up_at = time.monotonic() + within_seconds
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=min(_AGAIN_SECONDS, within_seconds))
        if pending and time.monotonic() >= give_up_at:
            for task in pending:
                _tell(task)
            return False
    return True


def _tell(task: "asyncio.Task[object]") -> None:
    UNENDED.inc()
    stack = io.StringIO()
    task.print_stack(file=stack)
    _log.error("a task does not end", extra={"fields": {"task": task.get_name(), "stack": stack.getvalue()}})
