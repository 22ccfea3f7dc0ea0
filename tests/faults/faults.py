"""How things break: each fault says what it does to the suite, and when what it broke answers again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from local.suite import Suite

STORES: Final = ("postgres", "redis", "redis-cache", "rabbitmq", "neo4j", "chromadb", "consul")
PROCESSES: Final = ("auth", "agents", "chat", "vectors", "tasks", "tasks-worker", "gateway")
WHOLE: Final = "whole suite"
FROZEN_SECONDS: Final = 5.0
Break = Callable[[Suite, str], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """`strike` breaks the target and returns when it answers again. Another kind of fault is another `strike`."""

    kind: str
    target: str
    strike: Break

    @property
    def name(self) -> str:
        return f"{self.kind} {self.target}"

    @property
    def cuts_connections(self) -> bool:
        """Whether callers may be left without an answer: who holds their connection, or streamed, is gone."""
        if self.target == "chat":
            return self.kind == "kill"  # told to end, it ends each stream with a final event
        return self.kind != "freeze" and self.target in ("gateway", WHOLE)


async def nothing(_: Suite, __: str) -> None:
    """What the load finds by itself, and how long the measurement takes on this machine."""


async def kill(suite: Suite, target: str) -> None:
    """Without a chance to clean up; then started again."""
    await asyncio.to_thread(suite.kill, target)
    await asyncio.to_thread(suite.start, target)


async def freeze(suite: Suite, target: str) -> None:
    """Alive, connected and silent for some seconds."""
    await asyncio.to_thread(suite.freeze, target)
    try:
        await asyncio.sleep(FROZEN_SECONDS)
    finally:
        await asyncio.to_thread(suite.thaw, target)
    await asyncio.to_thread(suite.start, target)  # it runs: only waits until it answers


async def restart(suite: Suite, target: str) -> None:
    """Told to end, and started again."""
    await asyncio.to_thread(suite.stop, target)
    await asyncio.to_thread(suite.start, target)


async def kill_everything(suite: Suite, _: str) -> None:
    """As when the machine stops."""
    await asyncio.to_thread(suite.kill_all)
    await asyncio.to_thread(suite.up)


FAULTS: Final = (
    Fault("nothing", "broken", nothing),
    *(Fault(strike.__name__, target, strike) for target in (*STORES, *PROCESSES) for strike in (kill, freeze, restart)),
    Fault("kill", WHOLE, kill_everything),
)
SMOKE: Final = (("kill", "postgres"), ("freeze", "redis"), ("kill", "tasks"))
