"""Waiting for `vectors` in the middle of long work, which would otherwise begin anew."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.tasks.errors import retry_after
from services.tasks.kinds.kind import Context
from shared.errors import ServiceError

T = TypeVar("T")
_PASSING = frozenset({429, 502, 503, 504})
_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


async def patiently(context: Context, ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` gives, asked again while that is away or busy, for half a minute. It must bear a repetition."""
    for wait in _WAITS:
        try:
            return await ask()
        except ServiceError as error:
            if error.status not in _PASSING:
                raise
            seconds = max(wait, retry_after(error))
            if seconds > _WAITS[-1] or seconds > context.remaining_seconds:
                raise
            await asyncio.sleep(seconds)
    return await ask()
