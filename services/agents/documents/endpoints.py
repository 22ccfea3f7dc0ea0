"""`/agents/{id}/export` and `/agents/import`."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Response

from services.agents.dependencies import Documents, Importer, Reader
from services.agents.documents.schemas import AgentDocument, AgentDocumentRead, ImportedRead
from services.agents.errors import AgentNameTaken, AgentNotFound, DocumentTooNew, RelationToItself
from shared.door import GuardedRoute, IdempotentRoute, Keyed, takes
from shared.errors import responses
from shared.resources import describe, described
from shared.schemas import Id

router = APIRouter(prefix="/api/v1/agents/{id}/export", tags=["agents"], route_class=GuardedRoute)
creating = APIRouter(prefix="/api/v1/agents/import", tags=["agents"], route_class=IdempotentRoute)

# The largest agent and 500 of the largest relations, each character of their texts written as `\u1234`; the gateway
# takes 8 MiB.
_KIB, _VALUES, _TEXTS = 7_900, 8_000, 16_000
_CREATED: dict[str, Any] = described(tag="the version, for `If-Match`", location="where the agent is") | {
    "links": {
        operation: {"operationId": operation, "parameters": {"id": "$response.body#/agent/id"}}
        for operation in ("agents_get", "agents_export")
    },
}


@router.get(
    "",
    operation_id="agents_export",
    summary="Export an agent",
    response_model=AgentDocumentRead,
    responses=responses(AgentNotFound),
)
async def export(id: Id, caller: Reader, documents: Documents) -> AgentDocumentRead:
    """The agent as one document, which `agents_import` makes an agent of again, here or elsewhere.

    Of its current version, without its history; its relations are there by the names of the other agents.
    """
    return AgentDocumentRead.of(await documents.export(caller, id), datetime.now(UTC))


@creating.post(
    "",
    operation_id="agents_import",
    summary="Import an agent",
    status_code=201,
    response_model=ImportedRead,
    responses={201: _CREATED, **responses(AgentNameTaken, AgentNotFound, DocumentTooNew, RelationToItself)},
)
@takes(kib=_KIB, values=_VALUES, texts=_TEXTS)
async def create(
    body: AgentDocument, caller: Importer, documents: Documents, response: Response, once: Keyed
) -> ImportedRead:
    """Create an agent of a document: with an id of its own, at version 1.

    It is related to those agents of the tenant that have the names; `unresolved` has the relations that were not made.
    Tools that the tenant does not define are left out, and named in `undefined_tools`.
    Repeated with its `Idempotency-Key` it answers the agent that was made; 404 when that was deleted meanwhile.
    """
    imported = await documents.create(caller, body, once)
    describe(response, version=imported.agent.version, location=f"/api/v1/agents/{imported.agent.id}")
    return ImportedRead.of(imported)
