"""The annotated types that agents' routes ask for."""

from typing import Annotated

from fastapi import Depends

from services.agents.service import AgentService
from shared.door import requires
from shared.identity import Caller
from shared.web import from_state

Reader = Annotated[Caller, requires("agents:read")]
Writer = Annotated[Caller, requires("agents:write")]
Agents = Annotated[AgentService, Depends(from_state("agents"))]
