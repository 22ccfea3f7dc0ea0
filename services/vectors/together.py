"""Several calls at once, of which the first that fails ends the others."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

AT_ONCE: Final = 8
"""Of what is done for one request: others have their turn too."""
Item = TypeVar("Item")
Result = TypeVar("Result")


async def together(calls: Sequence[Callable[[], Awaitable[Result]]], at_once: int) -> list[Result]:
    """Their results, in their order; up to `at_once` run. Raises what the first that fails raises."""
    turns = asyncio.Semaphore(at_once)

    async def one(call: Callable[[], Awaitable[Result]]) -> Result:
        async with turns:
            return await call()

    tasks = [asyncio.create_task(one(call)) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def each(
    items: Iterable[Item], work: Callable[[Item], Awaitable[Result]], at_once: int = AT_ONCE
) -> list[Result]:
    """`work` of each of `items`, in their order. Raises as `together`."""
    return await together([functools.partial(work, item) for item in items], at_once)
