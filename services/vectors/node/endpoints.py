"""`/internal/vectors/…`: the one route of the node, unrouted outside."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from services.vectors.adapters.node_protocol import MAX_MIB, MEDIA_TYPE
from services.vectors.node.service import NodeService
from shared.door import BoundedRequest, Bounds, GuardedRoute, authenticate, held, stores_nothing

internal = APIRouter(prefix="/internal/vectors", route_class=GuardedRoute, include_in_schema=False)
Node = Annotated[NodeService, held("node")]
_BOUNDS = Bounds(kib=MAX_MIB * 1024)


@internal.post("/{place}/{method}")
@stores_nothing  # what a method stores is known to the node, and so is whether there is room for it
async def call(place: str, method: str, request: Request, node: Node) -> Response:
    """One call of a port, for whoever the replica works for. The limits of callers are counted at its own door."""
    caller = await authenticate(request)
    message = await BoundedRequest(request.scope, request.receive, _BOUNDS, is_form=False).body()
    return Response(await node.answer(caller, place, method, message), media_type=MEDIA_TYPE)
