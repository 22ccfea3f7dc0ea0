"""Ends tasks for certain: what a task waits for may swallow a cancel, so one cancel is no end.

CPython 3.11's `asyncio.wait_for` drops a cancel that meets a result that has just come, and libraries use it. Whoever
ends a task here asks again until it is done, within a bound, and says so when it is not.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from prometheus_client import Counter

_log = logging.getLogger("shared.ending")
_AGAIN_SECONDS = 0.5  # for what a task still has to put in order
_BOUND_SECONDS = 5.0
_MAX_FRAMES = 50
_WITHIN_SECONDS = 1.0  # what goes on after it is logged and left behind
OUTLIVED = 1.1
"""Times its limit: whoever has a limit of its own ends itself, and what still runs then is ended from outside."""
Result = TypeVar("Result")
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


async def within(
    seconds: float, work: Coroutine[Any, Any, Result], *, stop: "asyncio.Future[Exception] | None" = None
) -> Result:
    """The result of `work`, which runs in a task of its own and is ended after `seconds`.

    Raises TimeoutError then, and the result of `stop` as soon as it has one: also when `work` does not let itself be
    ended, which `asyncio.timeout` would wait for. Raises what `work` raises.
    """
    task = asyncio.create_task(work)
    try:
        waited: set[asyncio.Future[Any]] = {task} if stop is None else {task, stop}
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if stop is not None and stop.done():
            raise stop.result()
        raise TimeoutError
    finally:
        await end(task, within_seconds=_WITHIN_SECONDS)
        if task.done() and not task.cancelled():
            task.exception()  # what it raised on being ended is of no interest, and was raised above otherwise


def is_told_to_end() -> bool:
    """Whether somebody asked this task to: a cancel may also be what a library failed a call of ours with."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _tell(task: "asyncio.Task[object]") -> None:
    UNENDED.inc()
    _log.error("a task does not end", extra={"fields": {"task": task.get_name(), "stack": stack_of(task)}})


def stack_of(task: "asyncio.Task[Any]") -> str:
    """Where it waits now, outermost call first, for a log. `Task.get_stack` shows but the first of them."""
    lines: list[str] = []
    waiting: Any = task.get_coro()
    while waiting is not None and len(lines) < _MAX_FRAMES:
        if frame := getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None):
            lines.append(f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}")
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
    return "\n".join(lines)
