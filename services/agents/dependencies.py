"""The annotated types that agents' routes ask for."""

from typing import Annotated

from fastapi import Depends, Request

from services.agents.service import AgentService
from shared.security import requires
from shared.tokens import Caller

Reader = Annotated[Caller, requires("agents:read")]
Writer = Annotated[Caller, requires("agents:write")]


def _service(request: Request, caller: Caller) -> AgentService:
    state = request.state
    return AgentService(state.graph, state.platform.cursors, caller)


def _reading(request: Request, caller: Reader) -> AgentService:
    return _service(request, caller)


def _writing(request: Request, caller: Writer) -> AgentService:
    return _service(request, caller)


# The scope comes with the service: a route cannot have the one without the other.
ReadableAgents = Annotated[AgentService, Depends(_reading)]
WritableAgents = Annotated[AgentService, Depends(_writing)]
