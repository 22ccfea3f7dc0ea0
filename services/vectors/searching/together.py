"""Several calls at once, of which the first that fails ends the others."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

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
