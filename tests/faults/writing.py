"""Clients that write without end, and what became of each write: what faults are measured by."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.working_time import WorkingTime, working_time

Write = Callable[[], Awaitable[httpx.Response]]
PARALLEL = 4


@dataclass
class Course:
    """How a number of writes went; times are those that this loop had."""

    kept: list[httpx.Response] = field(default_factory=list)
    refused: list[httpx.Response] = field(default_factory=list)
    slowest_seconds: float = 0.0
    last_begun_and_kept: float = 0.0
    time: WorkingTime = field(default_factory=WorkingTime)

    async def until_kept(self, number: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Returns once so many more were acknowledged."""
        wanted = len(self.kept) + number
        async with asyncio.timeout(seconds):
            while len(self.kept) < wanted:  # noqa: ASYNC110 - what is waited for is elsewhere
                await asyncio.sleep(0.02)

    async def until_refused(self, number: int, seconds: float = PATIENCE_SECONDS) -> None:
        wanted = len(self.refused) + number
        async with asyncio.timeout(seconds):
            while len(self.refused) < wanted:  # noqa: ASYNC110 - what is waited for is elsewhere
                await asyncio.sleep(0.02)

    async def kept_again(self, seconds: float) -> bool:
        """Whether a write that begins now or later is acknowledged within that time."""
        began = self.time.seconds
        while self.time.seconds < began + seconds:
            if self.last_begun_and_kept > began:
                return True
            await asyncio.sleep(0.05)
        return False

    @property
    def statuses(self) -> set[int]:
        return {answer.status_code for answer in self.refused}

    @property
    def unclean(self) -> list[str]:
        """The refusals that do not say, as a problem, that it may be tried later."""
        return [
            f"{answer.status_code} {answer.text[:300]}"
            for answer in self.refused
            if answer.status_code not in (503, 504, 507) or answer.headers["content-type"] != "application/problem+json"
        ]


@asynccontextmanager
async def writing(write: Write, *, pause_seconds: float = 0.0) -> AsyncIterator[Course]:
    """Four clients write one after the other while the block runs, with a pause after each write."""
    course, stopped = Course(), asyncio.Event()

    async def client() -> None:
        while not stopped.is_set():
            began = course.time.seconds
            answer = await write()
            course.slowest_seconds = max(course.slowest_seconds, course.time.seconds - began)
            if answer.is_success:
                course.kept.append(answer)
                course.last_begun_and_kept = max(course.last_begun_and_kept, began)
                await asyncio.sleep(pause_seconds)
            else:
                course.refused.append(answer)
                await asyncio.sleep(0.05)  # as a client that means to try again

    async with working_time() as course.time, asyncio.TaskGroup() as clients:
        for _ in range(PARALLEL):
            clients.create_task(client())
        try:
            yield course
        finally:
            stopped.set()
