"""`/agents/{id}/relations`."""

from typing import Any

from fastapi import APIRouter, Response

from services.agents.dependencies import Reader, Relations, Writer
from services.agents.errors import AgentNotFound, RelationNotFound, RelationToItself, TooManyRelations
from services.agents.relations.domain import Direction, Relation, RelationType
from services.agents.relations.schemas import DirectionFilter, RelationPut, RelationRead, Type, Types
from shared.door import GuardedRoute
from shared.errors import PreconditionFailed, responses
from shared.resources import Cursor, IfMatch, Limit, Page, describe, described
from shared.schemas import Id

router = APIRouter(prefix="/api/v1/agents/{id}/relations", tags=["agents"], route_class=GuardedRoute)

_TAG = "for `If-Match`: after a change it is another"
_TAGGED = described(tag=_TAG)
_CREATED: dict[str, Any] = described(tag=_TAG, location="where the relation is") | {
    "model": RelationRead,
    "description": "It is new",
}


@router.get(
    "",
    operation_id="agents_list_relations",
    summary="List the relations of an agent",
    response_model=Page[RelationRead],
    responses=responses(AgentNotFound),
)
async def list_page(
    id: Id,
    caller: Reader,
    relations: Relations,
    types: Types = None,
    direction: DirectionFilter = Direction.BOTH,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[RelationRead]:
    """Those that lead from the agent and those that lead to it, by type and the other agent's id."""
    found = await relations.list_page(
        caller, id, types=types or list(RelationType), direction=direction, limit=limit, cursor=cursor
    )
    return found.page(RelationRead.model_validate)


@router.put(
    "/{type}/{other_id}",
    operation_id="agents_put_relation",
    summary="Relate two agents",
    response_model=RelationRead,
    responses={
        200: _TAGGED,
        201: _CREATED,
        **responses(AgentNotFound, RelationToItself, TooManyRelations, PreconditionFailed),
    },
)
async def put(
    id: Id,
    type: Type,
    other_id: Id,
    body: RelationPut,
    caller: Writer,
    relations: Relations,
    response: Response,
    if_match: IfMatch = None,
) -> Relation:
    """Make the relation, or have it say this from now on.

    `shares_knowledge_with` is one relation from whichever side it is named. An agent has 500 at most, in both
    directions together (409). A key that is narrowed to an agent needs the scope for the other one, too.
    """
    found = await relations.put(caller, id, type, other_id, body, if_match)
    describe(response, version=found.relation.version)
    if found.is_new:
        response.status_code = 201
        describe(response, location=f"/api/v1/agents/{id}/relations/{type}/{other_id}")
    return found.relation


@router.get(
    "/{type}/{other_id}",
    operation_id="agents_get_relation",
    summary="Read a relation of two agents",
    response_model=RelationRead,
    responses={200: _TAGGED, **responses(AgentNotFound, RelationNotFound)},
)
async def get(id: Id, type: Type, other_id: Id, caller: Reader, relations: Relations, response: Response) -> Relation:
    """The relation that leads from the first agent to the second."""
    relation = await relations.get(caller, id, type, other_id)
    describe(response, version=relation.version)
    return relation


@router.delete(
    "/{type}/{other_id}",
    operation_id="agents_delete_relation",
    summary="End a relation of two agents",
    status_code=204,
    responses=responses(AgentNotFound, RelationNotFound, PreconditionFailed),
)
async def delete(
    id: Id, type: Type, other_id: Id, caller: Writer, relations: Relations, if_match: IfMatch = None
) -> None:
    """End the relation; both agents stay."""
    await relations.delete(caller, id, type, other_id, if_match)
