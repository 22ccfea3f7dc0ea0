"""Processes that keep records, and what may befall them: one of the suite, or one of a test's own."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Protocol

import psutil

from local.suite import Suite
from tests.fixtures.node import NodeProcess


class Victim(Protocol):
    """What is broken."""

    async def kill(self) -> None:
        """With SIGKILL; it is started again, and ready when this returns."""

    async def freeze(self, seconds: float) -> None:
        """With SIGSTOP: alive, connected and silent for so long."""


@dataclass(frozen=True)
class OfSuite:
    """A component of the suite."""

    suite: Suite
    component: str

    async def kill(self) -> None:
        await asyncio.to_thread(self.suite.kill, self.component)
        await asyncio.to_thread(self.suite.start, self.component)

    async def freeze(self, seconds: float) -> None:
        await asyncio.to_thread(self.suite.freeze, self.component)
        try:
            await asyncio.sleep(seconds)
        finally:
            await asyncio.to_thread(self.suite.thaw, self.component)


@dataclass(frozen=True)
class OfTest:
    """A process with those below it."""

    process: NodeProcess

    async def kill(self) -> None:
        await self.process.kill()
        await self.process.start()

    async def freeze(self, seconds: float) -> None:
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        try:
            for one in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.suspend()
            await asyncio.sleep(seconds)
        finally:
            for one in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.resume()
