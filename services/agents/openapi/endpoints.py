"""`/agents/tools/import`."""

from fastapi import APIRouter

from services.agents.dependencies import OpenApi, ToolImporter
from services.agents.errors import (
    OpenApiUnreadable,
    OperationInexpressible,
    SecretElsewhere,
    SecretUnencrypted,
    SecretUnknown,
    ToolInUse,
    TooManyTools,
)
from services.agents.openapi.schemas import ImportedToolRead, ToolsImport, ToolsImportedRead
from services.agents.openapi.service import DEPTH, KIB, TEXTS, VALUES
from services.agents.tools.schemas import ToolRead
from shared.door import GuardedRoute, takes
from shared.errors import responses
from shared.limits import ShareTaken

router = APIRouter(prefix="/api/v1/agents/tools/import", tags=["agents"], route_class=GuardedRoute)


@router.post(
    "",
    operation_id="agents_import_tools",
    summary="Make tools of an OpenAPI document",
    response_model=ToolsImportedRead,
    responses=responses(
        OpenApiUnreadable,
        OperationInexpressible,
        SecretUnknown,
        SecretElsewhere,
        SecretUnencrypted,
        TooManyTools,
        ToolInUse,
        ShareTaken,
    ),
)
@takes(kib=KIB, values=VALUES, texts=TEXTS, depth=DEPTH)
async def create(body: ToolsImport, caller: ToolImporter, openapi: OpenApi) -> ToolsImportedRead:
    """Define a tool of the kind `http` for each operation, or have it be this from the next call on: all, or none.

    Arguments are the parameters in path and query and the members of a JSON body. What an operation requires and a tool
    cannot say is refused, by its place in the document; what it takes beside that is named in `left_out`.

    It may be repeated: the same document makes the same tools.
    """
    imported = await openapi.create(caller, body)
    return ToolsImportedRead(
        tools=[
            ImportedToolRead(
                operation=one.operation, is_new=one.put.is_new, left_out=one.left_out, tool=ToolRead.of(one.put.tool)
            )
            for one in imported
        ]
    )
