"""`/agents`: create, list, read, change, delete."""

from typing import Any

from fastapi import APIRouter, Response

from services.agents.dependencies import Agents, Reader, ToolReader, Writer
from services.agents.domain import Agent
from services.agents.errors import AgentNameTaken, AgentNotFound, ToolUnknown
from services.agents.listing import Filters
from services.agents.schemas import (
    AgentCreate,
    AgentRead,
    AgentUpdate,
    CapabilityFilter,
    KnowledgeFilter,
    NamedFilter,
    TextFilter,
    ToolFilter,
)
from shared.door import GuardedRoute, IdempotentRoute, Keyed, takes
from shared.errors import PreconditionFailed, responses
from shared.resources import Cursor, IfMatch, Limit, Page, describe, described
from shared.schemas import Id

router = APIRouter(prefix="/api/v1/agents", tags=["agents"], route_class=GuardedRoute)
internal = APIRouter(prefix="/internal/agents", route_class=GuardedRoute, include_in_schema=False)
creating = APIRouter(prefix="/api/v1/agents", tags=["agents"], route_class=IdempotentRoute)

_KIB = 1024  # the longest instructions and metadata, each character of them written as `\u1234`
_TAG = "the version, for `If-Match`"
_TAGGED = described(tag=_TAG)
_CREATED: dict[str, Any] = described(tag=_TAG, location="where the agent is") | {
    "links": {
        operation: {"operationId": operation, "parameters": {"id": "$response.body#/id"}}
        for operation in ("agents_get", "agents_update", "agents_delete")
    },
}


@creating.post(
    "/create",
    operation_id="agents_create",
    summary="Create an agent",
    status_code=201,
    response_model=AgentRead,
    responses={201: _CREATED, **responses(AgentNameTaken, AgentNotFound, ToolUnknown)},
)
@takes(kib=_KIB)
async def create(body: AgentCreate, caller: Writer, agents: Agents, response: Response, once: Keyed) -> Agent:
    """Create an agent at version 1. Its tools must be there; its collections may be made later.

    Repeated with its `Idempotency-Key` it answers the agent that was made; 404 when that was deleted meanwhile.
    """
    agent = await agents.create(caller, body, once)
    describe(response, version=agent.version, location=f"/api/v1/agents/{agent.id}")
    return agent


@router.get("/list", operation_id="agents_list", summary="List agents", response_model=Page[AgentRead])
async def list_page(
    caller: Reader,
    agents: Agents,
    capability: CapabilityFilter = None,
    knowledge: KnowledgeFilter = None,
    tool: ToolFilter = None,
    q: TextFilter = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[AgentRead]:
    """The tenant's agents, newest first; with filters, those that match all of them."""
    filters = Filters(capability=capability, knowledge=knowledge, tool=tool, typed=q)
    found = await agents.list_page(caller, filters, limit=limit, cursor=cursor)
    return found.page(AgentRead.model_validate)


@internal.get("", response_model=AgentRead)
async def get_named(name: NamedFilter, caller: ToolReader, agents: Agents) -> Agent:
    """The agent of this name, which chat asks for with its caller's token; unrouted outside."""
    return await agents.get_named(caller, name)


@router.get(
    "/{id}",
    operation_id="agents_get",
    summary="Read an agent",
    response_model=AgentRead,
    responses={200: _TAGGED, **responses(AgentNotFound)},
)
async def get(id: Id, caller: Reader, agents: Agents, response: Response) -> Agent:
    """An agent as of its current version."""
    agent = await agents.get(caller, id)
    describe(response, version=agent.version)
    return agent


@router.patch(
    "/{id}",
    operation_id="agents_update",
    summary="Change an agent",
    response_model=AgentRead,
    responses={200: _TAGGED, **responses(AgentNotFound, AgentNameTaken, ToolUnknown, PreconditionFailed)},
)
@takes(kib=_KIB)
async def update(
    id: Id, body: AgentUpdate, caller: Writer, agents: Agents, response: Response, if_match: IfMatch = None
) -> Agent:
    """Replace the given fields, which makes a new version; when they change nothing, the version stays."""
    agent = await agents.update(caller, id, body, if_match)
    describe(response, version=agent.version)
    return agent


@router.delete(
    "/{id}",
    operation_id="agents_delete",
    summary="Delete an agent",
    status_code=204,
    responses=responses(AgentNotFound, PreconditionFailed),
)
async def delete(id: Id, caller: Writer, agents: Agents, if_match: IfMatch = None) -> None:
    """Delete an agent with its history. Conversations held with it stay."""
    await agents.delete(caller, id, if_match)
