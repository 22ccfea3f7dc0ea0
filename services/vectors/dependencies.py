"""The annotated types that vectors' routes ask for."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request

from services.vectors.collections import CollectionService
from services.vectors.domain import EngineName
from services.vectors.ports import VectorEngine
from services.vectors.records import RecordService
from shared.door import requires
from shared.identity import Caller
from shared.resources import CursorCodec


async def _collections(request: Request) -> CollectionService:
    service: CollectionService = request.state.collections
    return service


async def _records(request: Request) -> RecordService:
    service: RecordService = request.state.records
    return service


async def _engines(request: Request) -> Mapping[EngineName, VectorEngine]:
    engines: Mapping[EngineName, VectorEngine] = request.state.backends.engines
    return engines


async def _cursors(request: Request) -> CursorCodec:
    codec: CursorCodec = request.state.platform.cursors
    return codec


Collections = Annotated[CollectionService, Depends(_collections)]
Records = Annotated[RecordService, Depends(_records)]
Engines = Annotated[Mapping[EngineName, VectorEngine], Depends(_engines)]
Cursors = Annotated[CursorCodec, Depends(_cursors)]
Reader = Annotated[Caller, requires("vectors:read")]
Writer = Annotated[Caller, requires("vectors:write")]
# For routes whose body names the collection: a scope may be narrowed to one.
CollectionReader = Annotated[Caller, requires("vectors:read", body="collection", limit="read")]
CollectionWriter = Annotated[Caller, requires("vectors:write", body="collection")]
CollectionFiller = Annotated[Caller, requires("vectors:write", body="collection", limit="bulk")]
CollectionMaker = Annotated[Caller, requires("vectors:write", body="name")]
