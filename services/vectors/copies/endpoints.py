"""`/internal/copies`: what the worker asks for of a task of the kind `vectors.copy`; unrouted outside."""

from fastapi import APIRouter, Response

from services.vectors.copies.schemas import CopyBegin, CopyRead, CopyStep
from services.vectors.dependencies import Copies, Writer
from shared.door import GuardedRoute
from shared.resources import describe

internal = APIRouter(prefix="/internal/copies", route_class=GuardedRoute, include_in_schema=False)


@internal.post("", response_model=CopyRead)
async def begin(body: CopyBegin, caller: Writer, copies: Copies, response: Response) -> CopyRead:
    """Begin a copy, or find it begun. Its tag is the target's, for `If-Match` where that is deleted again."""
    begun = await copies.begin(caller, body)
    describe(response, version=body.id)
    return CopyRead.of(begun.copy, begun.total)


@internal.post("/step", response_model=CopyRead)
async def step(body: CopyStep, caller: Writer, copies: Copies) -> CopyRead:
    """Do one step, of a few seconds at most, and tell how far the copy is."""
    return CopyRead.of(await copies.step(caller, body))
