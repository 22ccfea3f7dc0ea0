"""`/internal/agents/{id}/tools`: what chat asks for with its caller's token; unrouted outside."""

from fastapi import APIRouter

from services.agents.calls.domain import Called
from services.agents.calls.schemas import CallableToolRead, CallableToolsRead, CalledName, CalledRead, ToolCall
from services.agents.dependencies import Calls, Reader, Talker
from shared.door import GuardedRoute, stores_nothing
from shared.schemas import Id

internal = APIRouter(prefix="/internal/agents/{id}/tools", route_class=GuardedRoute, include_in_schema=False)


@internal.get("", response_model=CallableToolsRead)
async def list_callable(id: Id, caller: Reader, calls: Calls) -> CallableToolsRead:
    """The tools that the agent's current version names and the tenant defined."""
    found = await calls.list_callable(caller, id)
    return CallableToolsRead(tools=[CallableToolRead.model_validate(tool) for tool in found])


@internal.post("/{name}/call", response_model=CalledRead)
@stores_nothing
async def call(id: Id, name: CalledName, body: ToolCall, caller: Talker, calls: Calls) -> Called:
    """Call one; a tool that fails is an answer that says so."""
    return await calls.call(caller, id, name, body.arguments)
