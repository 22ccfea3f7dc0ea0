"""Second replicas of the suite's processes, and the restart of both, one after the other."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from local.layout import REPOSITORY
from local.suite import Suite
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.fixtures.stores import consul_headers

MODULES: Final = {
    "auth": "services.auth",
    "agents": "services.agents",
    "chat": "services.chat",
    "vectors": "services.vectors",
    "tasks": "services.tasks",
    "tasks-worker": "services.tasks.worker",
    "portal": "gateway.portal",
    "gateway": "gateway.envoy",
}
"""What may have two replicas: vectors where a node keeps its files, which has one."""
_READY_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 45.0


@dataclass
class Second:
    """A process beside the suite's own of the same name, on the same stores."""

    name: str
    environment: dict[str, str]
    url: str
    ready_url: str
    log: Path
    _process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns when it is ready. Raises TimeoutError."""
        command = [sys.executable, "-m", MODULES[self.name]]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, cwd=REPOSITORY, env=self.environment, stdout=log, stderr=log
            )
        async with httpx.AsyncClient(verify=authorities()) as client:
            await until(lambda: _answers(client, self.ready_url))

    async def stop(self) -> None:
        """Tells it to end, and returns when it has. Raises TimeoutError."""
        if self._process is not None:
            self._process.terminate()
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
            self._process = None


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Waits until the awaitable that `condition` makes is true. Raises TimeoutError."""
    async with asyncio.timeout(_READY_SECONDS):
        while not await condition():  # noqa: ASYNC110 - it is true in another process
            await asyncio.sleep(0.1)


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url, timeout=2)).is_success
    except httpx.HTTPError:
        return False


@asynccontextmanager
async def seconds_of(suite: Suite, *names: str) -> AsyncIterator[dict[str, Second]]:
    """A second replica of each, running inside the block."""
    found = {name: _second(suite, name) for name in names}
    async with AsyncExitStack() as stack:
        for second in found.values():
            stack.push_async_callback(second.stop)
        await asyncio.gather(*(second.start() for second in found.values()))
        yield found


def _second(suite: Suite, name: str) -> Second:
    port, log = free_port(), suite.site.layout.logs / f"second-{name}.log"
    environment, url = suite.environment(name), f"http://127.0.0.1:{port}"
    if name != "gateway":
        return Second(name, environment | {"PORT": str(port)}, url, f"{url}/health/ready", log)
    state, admin = suite.site.layout.home / "second-gateway", free_port()
    state.mkdir(exist_ok=True)
    own = {"GATEWAY_PORT": str(port), "GATEWAY_ADMIN_PORT": str(admin), "GATEWAY_STATE_DIR": str(state)}
    return Second(name, environment | own, url, f"http://127.0.0.1:{admin}/ready", log)


async def roll(suite: Suite, second: Second) -> None:
    """Restarts both replicas by SIGTERM, the second once the first works again and is known to the gateway."""
    await restart(suite, second.name)
    await _both_known(suite, second.name)
    await second.stop()
    await second.start()
    await _both_known(suite, second.name)


async def restart(suite: Suite, name: str) -> None:
    """Restarts what has no second by SIGTERM."""
    await asyncio.to_thread(suite.stop, name)
    await asyncio.to_thread(suite.start, name)


async def _both_known(suite: Suite, name: str) -> None:
    """Whoever takes one replica away waits until the other takes requests: readiness alone is not known to others."""
    if name == "gateway":
        return  # nobody looks it up
    consul = suite.url("consul").rstrip("/")
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=authorities()) as client:

        async def known() -> bool:
            passing = await client.get(f"{consul}/v1/health/service/{name}?passing=1", headers=consul_headers(suite))
            return len(passing.json()) == 2

        await until(known)
