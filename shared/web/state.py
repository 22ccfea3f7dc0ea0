"""What the lifespan of a service opened, for its routes."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request


def from_state(name: str) -> Callable[[Request], Awaitable[Any]]:
    """`Agents = Annotated[AgentService, Depends(from_state("agents"))]`: what the lifespan yields by that name."""

    async def held(request: Request) -> Any:
        return getattr(request.state, name)

    return held
