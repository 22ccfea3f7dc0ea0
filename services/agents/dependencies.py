"""The annotated types that agents' routes ask for."""

from typing import Annotated

from fastapi import Depends, Request

from services.agents.service import AgentService
from shared.door import caller_of, requires
from shared.identity import Caller

Reader = Annotated[Caller, requires("agents:read")]
Writer = Annotated[Caller, requires("agents:write")]


async def _agents(request: Request) -> AgentService:
    state = request.state
    return AgentService(state.graph, state.platform.cursors, caller_of(request))


Agents = Annotated[AgentService, Depends(_agents)]
"""Those of the caller that the route demands."""
