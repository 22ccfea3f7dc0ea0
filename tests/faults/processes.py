"""A service as a process of its own, in surroundings that a test chooses."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx

from local.layout import REPOSITORY
from local.suite import Suite
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port


@dataclass(frozen=True)
class Running:
    """The process, and a client of it."""

    pid: int
    client: httpx.AsyncClient
    process: asyncio.subprocess.Process

    async def check(self, name: str) -> dict[str, object]:
        """One component as its readiness shows it."""
        found: dict[str, object] = (await self.client.get("/health/ready")).json()["checks"][name]
        return found

    async def until(self, holds: Callable[[dict[str, object]], bool], name: str, seconds: float) -> None:
        """Returns once that component is so."""
        async with asyncio.timeout(seconds):
            while not holds(await self.check(name)):  # noqa: ASYNC110 - it is in another process
                await asyncio.sleep(0.1)


@asynccontextmanager
async def running(
    suite: Suite, service: str, *, log: Path | None = None, **surroundings: str
) -> AsyncIterator[Running]:
    """Ready when the block begins, killed at its end; `log` is where what it says goes."""
    port = free_port()  # the suite's own may be running
    environment = suite.environment(service) | {"DISCOVERY": "static", "PORT": str(port), **surroundings}
    command = (sys.executable, "-m", f"services.{service}")
    with log.open("ab") if log else nullcontext() as said:
        process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=REPOSITORY, stdout=said)
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS, verify=authorities()
        ) as client:
            await _until_ready(client)
            yield Running(process.pid, client, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _until_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                if (await client.get("/health/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            await asyncio.sleep(0.1)
