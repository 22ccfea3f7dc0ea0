"""What a bare ASGI app does about its life."""

from collections.abc import Awaitable, Callable
from typing import Any


async def nothing() -> None:
    """For who has nothing to close."""


async def live(receive: Any, send: Any, close: Callable[[], Awaitable[object]] = nothing) -> None:
    """Say that it has begun, and when told to end, that it has ended: after `close`."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await close()
    await send({"type": "lifespan.shutdown.complete"})
