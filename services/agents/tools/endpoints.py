"""`/agents/tools`."""

from typing import Final

from fastapi import APIRouter, Response

from services.agents.dependencies import ToolReader, Tools, ToolWriter
from services.agents.errors import (
    SecretElsewhere,
    SecretUnencrypted,
    SecretUnknown,
    ToolInUse,
    ToolNotFound,
    TooManyTools,
)
from services.agents.tools.domain import Tool
from services.agents.tools.schemas import AnyToolName, NewToolName, ToolEntryRead, ToolName, ToolPut, ToolRead
from shared.door import GuardedRoute
from shared.errors import PreconditionFailed, responses
from shared.resources import Cursor, IfMatch, Limit, Page, describe, described

router = APIRouter(prefix="/api/v1/agents/tools", tags=["agents"], route_class=GuardedRoute)

_TAG: Final = "for `If-Match`: after a change it is another"
_TAGGED: Final = described(tag=_TAG)
_CREATED: Final = described(tag=_TAG, location="where the tool is") | {"model": ToolRead, "description": "It is new"}


@router.get("", operation_id="agents_list_tools", summary="List tools", response_model=Page[ToolEntryRead])
async def list_page(caller: ToolReader, tools: Tools, limit: Limit = 20, cursor: Cursor = None) -> Page[ToolEntryRead]:
    """What agents of the tenant may name in `tools`, by name: what is built in, and what the tenant defined."""
    found = await tools.list_page(caller, limit, cursor)
    return found.page(ToolEntryRead.of)


@router.put(
    "/{name}",
    operation_id="agents_put_tool",
    summary="Define a tool",
    response_model=ToolRead,
    responses={
        200: _TAGGED,
        201: _CREATED,
        **responses(SecretUnknown, SecretElsewhere, SecretUnencrypted, TooManyTools, ToolInUse, PreconditionFailed),
    },
)
async def put(
    name: NewToolName, body: ToolPut, caller: ToolWriter, tools: Tools, response: Response, if_match: IfMatch = None
) -> ToolRead:
    """Define a tool for the tenant's agents, or have it be this from their next call on.

    A server keeps those of its tools that agents name; without one of them, 409.

    It is called from here, never by the model or by chat: at an address that is public, or that the operator allows.
    """
    found = await tools.put(caller, name, body, if_match)
    describe(response, version=found.tool.version)
    if found.is_new:
        response.status_code = 201
        describe(response, location=f"/api/v1/agents/tools/{name}")
    return ToolRead.of(found.tool)


@router.get(
    "/{name}",
    operation_id="agents_get_tool",
    summary="Read a tool",
    response_model=ToolRead,
    responses={200: _TAGGED, **responses(ToolNotFound)},
)
async def get(name: AnyToolName, caller: ToolReader, tools: Tools, response: Response) -> ToolRead:
    """The definition, with its secrets by their names. One that is built in has a name, a description and no tag."""
    tool = await tools.get(caller, name)
    describe(response, version=tool.version if isinstance(tool, Tool) else None)
    return ToolRead.of(tool)


@router.delete(
    "/{name}",
    operation_id="agents_delete_tool",
    summary="Delete a tool",
    status_code=204,
    responses=responses(ToolNotFound, ToolInUse, PreconditionFailed),
)
async def delete(name: ToolName, caller: ToolWriter, tools: Tools, if_match: IfMatch = None) -> None:
    """Delete a tool that no agent names any more; while one does, 409."""
    await tools.delete(caller, name, if_match)
