"""Loops go on, whatever one step does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared.errors import Unavailable
from shared.loops import in_background, keep
from tests.fixtures.patience import PATIENCE_SECONDS

LOG = logging.getLogger("tests.loops")
Step = Callable[[], Awaitable[bool | None]]


async def steps_of(step: Step, count: int, **options: Any) -> None:
    """Run the loop until it has begun `count` steps."""
    begun, reached = 0, asyncio.Event()

    async def counted() -> bool | None:
        nonlocal begun
        begun += 1
        if begun >= count:
            reached.set()
        return await step()

    async with asyncio.timeout(PATIENCE_SECONDS), in_background(keep(counted, log=LOG, **options)):
        await reached.wait()


@pytest.mark.parametrize("error", [Unavailable("postgres"), RuntimeError("unforeseen")])
async def test_an_error_ends_no_loop(error: Exception) -> None:
    async def fails() -> None:
        raise error

    await steps_of(fails, 3, retry_seconds=0.001)


async def test_a_cancel_that_nobody_asked_of_it_ends_no_loop() -> None:
    async def rejected() -> None:
        call = asyncio.get_running_loop().create_future()
        call.cancel()  # as a library may reject what is under way
        await call

    await steps_of(rejected, 3, retry_seconds=0.001)


async def test_what_has_more_to_do_does_not_pause() -> None:
    async def more() -> bool:
        await asyncio.sleep(0)
        return True

    await steps_of(more, 100, every_seconds=60)


async def test_a_pause_is_cut_short() -> None:
    wake = asyncio.Event()

    async def done() -> None:
        asyncio.get_running_loop().call_soon(wake.set)

    await steps_of(done, 3, every_seconds=60, wake=wake)


async def test_the_first_step_may_wait() -> None:
    begun = asyncio.Event()

    async def step() -> None:
        begun.set()

    async with in_background(keep(step, log=LOG, every_seconds=60, pauses_first=True)):
        await asyncio.sleep(0)
        assert not begun.is_set()
