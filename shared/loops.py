"""Loops that run beside a service for as long as it is up."""

import asyncio
import contextvars
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from shared.ending import end, is_told_to_end
from shared.errors import ServiceError

_JITTER = (0.8, 1.0)  # of a pause, so that replicas do not all come back at one moment
_RETRY_SECONDS = (0.5, 1.5)
_stopping: contextvars.ContextVar[asyncio.Event | None] = contextvars.ContextVar("stopping", default=None)


@asynccontextmanager
async def in_background(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run the endless `loops` until the end of the block; then they are told to stop, and ended if they do not."""
    stopping = asyncio.Event()
    token = _stopping.set(stopping)
    try:
        running = [asyncio.create_task(loop, name=f"loop:{_name(loop)}") for loop in loops]
    finally:
        _stopping.reset(token)
    try:
        yield
    finally:
        stopping.set()  # where a cancel is lost, this is not
        await end(*running)


async def keep(
    step: Callable[[], Awaitable[object]],
    *,
    log: logging.Logger,
    every_seconds: float = 0.0,
    retry_seconds: float | None = None,
    pauses_first: bool = False,
    wake: asyncio.Event | None = None,
    expected: tuple[type[Exception], ...] = (ServiceError,),
) -> None:
    """Do `step` again and again, until `in_background` ends.

    A step that answers True has more to do and is done again at once; after any other a pause follows, cut short by
    `wake`. What a step raises ends no loop: `expected` errors are a warning, all others are logged whole, and the next
    try comes after `retry_seconds` (about a second when None). A cancel that nobody asked of the loop is such an error.
    """
    if pauses_first:
        await _pause(every_seconds * random.uniform(*_JITTER), wake)
    stopping = _stopping.get()
    while stopping is None or not stopping.is_set():
        try:
            if await step() is True:
                continue
        except expected as error:
            cause = error.detail if isinstance(error, ServiceError) else repr(error)
            log.warning("to be tried again", extra={"fields": {"step": _name(step), "cause": cause}})
        except (Exception, asyncio.CancelledError) as error:  # what a loop looks after must not stay behind for it
            if isinstance(error, asyncio.CancelledError) and is_told_to_end():
                raise
            log.exception("failed, to be tried again", extra={"fields": {"step": _name(step)}})
        else:
            await _pause(every_seconds * random.uniform(*_JITTER), wake)
            continue
        if retry_seconds is None:
            await asyncio.sleep(random.uniform(*_RETRY_SECONDS))
        else:
            await asyncio.sleep(retry_seconds * random.uniform(*_JITTER))


async def _pause(seconds: float, wake: asyncio.Event | None) -> None:
    if wake is None:
        await asyncio.sleep(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        pass
    wake.clear()


def _name(done: object) -> str:
    return getattr(done, "__qualname__", repr(done))
