"""Ends what outlives its own limit by a tenth: the last resort behind every limit.

Whoever runs work with a limit of its own registers it here: a request, a run, a worker's attempt. What has to be ended
is counted by its kind in `outlived_total` and logged with its stack, since its limit did not hold.
"""

import asyncio
import logging
import time
from typing import Any

from prometheus_client import Counter

from shared.ending import OUTLIVED, end, stack_of
from shared.loops import keep

_log = logging.getLogger("shared.watchdog")
_LOOK_SECONDS = 0.5


class Watch:
    """One piece of work under its limit."""

    __slots__ = ("end_at", "has_outlived", "kind", "seconds", "task")

    def __init__(self, kind: str, seconds: float, task: "asyncio.Task[Any]") -> None:
        self.kind, self.seconds, self.task = kind, seconds, task
        self.end_at = time.monotonic() + seconds * OUTLIVED
        self.has_outlived = False


class Watchdog:
    """What is watched in one process."""

    def __init__(self, outlived: Counter) -> None:
        self._outlived = outlived
        self._watched: set[Watch] = set()
        self._ending: set[asyncio.Task[bool]] = set()

    def watch(self, kind: str, seconds: float, task: "asyncio.Task[Any] | None" = None) -> Watch:
        """Have `task` ended should it outlive `seconds` by a tenth; it is forgotten when it is done.

        Without a task it is the current one, to be released by whoever asked.
        """
        watch = Watch(kind, seconds, task or _current_task())
        self._watched.add(watch)
        if task is not None:
            task.add_done_callback(lambda _: self.release(watch))
        return watch

    def release(self, watch: Watch) -> None:
        """Watch it no longer; may be repeated."""
        self._watched.discard(watch)

    async def run(self) -> None:
        """Never returns."""
        await keep(self.look, log=_log, every_seconds=_LOOK_SECONDS)

    async def look(self) -> None:
        """End what is overdue, without waiting for it: one that does not end keeps nobody else alive."""
        now = time.monotonic()
        for watch in [watch for watch in self._watched if watch.end_at <= now]:
            self._tell(watch)
            ending = asyncio.create_task(end(watch.task))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    def _tell(self, watch: Watch) -> None:
        self.release(watch)
        watch.has_outlived = True
        self._outlived.labels(watch.kind).inc()
        fields = {"kind": watch.kind, "limit_seconds": watch.seconds, "task": watch.task.get_name()}
        _log.error("ended, as it outlived its limit", extra={"fields": {**fields, "stack": stack_of(watch.task)}})


def _current_task() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    assert task is not None, "only a task can be ended"  # noqa: S101 - a mistake of ours
    return task
