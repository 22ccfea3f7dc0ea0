"""`/agents/secrets`."""

from fastapi import APIRouter, Response

from services.agents.dependencies import Secrets, ToolReader, ToolWriter
from services.agents.errors import SecretInUse, SecretNotFound, TooManySecrets
from services.agents.secrets.schemas import SecretName, SecretPut, SecretRead
from shared.door import GuardedRoute
from shared.errors import responses
from shared.resources import Cursor, Limit, Page

router = APIRouter(prefix="/api/v1/agents/secrets", tags=["agents"], route_class=GuardedRoute)


@router.get("", operation_id="agents_list_secrets", summary="List secrets", response_model=Page[SecretRead])
async def list_page(caller: ToolReader, secrets: Secrets, limit: Limit = 20, cursor: Cursor = None) -> Page[SecretRead]:
    """The names of the tenant's secrets; nobody reads what they hold."""
    found = await secrets.list_page(caller, limit, cursor)
    return found.page(SecretRead.model_validate)


@router.put(
    "/{name}",
    operation_id="agents_put_secret",
    summary="Write a secret",
    status_code=204,
    responses={201: {"description": "It is new"}, **responses(TooManySecrets)},
)
async def put(name: SecretName, body: SecretPut, caller: ToolWriter, secrets: Secrets) -> Response:
    """Keep a credential for tools, which name it in their headers as `${secret:NAME}`.

    It is kept encrypted, never shown again, and sent to `hosts` only. Writing it once more replaces value and hosts,
    from the next call of a tool on.
    """
    is_new = await secrets.put(caller, name, body)
    return Response(status_code=201 if is_new else 204)


@router.delete(
    "/{name}",
    operation_id="agents_delete_secret",
    summary="Delete a secret",
    status_code=204,
    responses=responses(SecretNotFound, SecretInUse),
)
async def delete(name: SecretName, caller: ToolWriter, secrets: Secrets) -> None:
    """Delete a credential that no tool names any more; while one does, 409."""
    await secrets.delete(caller, name)
