"""`/vectors/…`: collections, records, search."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from services.vectors.bulk import BulkRoute
from services.vectors.collections import Counted
from services.vectors.dependencies import (
    CollectionFiller,
    CollectionMaker,
    CollectionReader,
    Collections,
    CollectionWriter,
    Cursors,
    Engines,
    Reader,
    Records,
    Writer,
)
from services.vectors.domain import COLLECTION_NAME, MAX_ID_CHARS
from services.vectors.errors import (
    CollectionExists,
    CollectionFull,
    CollectionLost,
    CollectionNotFound,
    DimensionMismatch,
    EmbeddingsFailed,
    FilterInvalid,
    RecordNotFound,
    TooManyCollections,
    UnsupportedCapability,
    VectorInvalid,
)
from services.vectors.rendering import collection_read, engine_read, record_read, search_result
from services.vectors.schemas import (
    CollectionCreate,
    CollectionRead,
    DeleteRequest,
    DeleteResult,
    EngineList,
    RecordRead,
    SearchRequest,
    SearchResult,
    StoreRequest,
    StoreResult,
)
from shared.door import GuardedRoute, IdempotentRoute
from shared.errors import UpstreamTimeout, responses
from shared.resources import Cursor, Limit, Page, cut
from shared.schemas import Text

Name = Annotated[str, Path(pattern=COLLECTION_NAME, description="of the collection")]
RecordIdPath = Annotated[Text, Path(min_length=1, max_length=MAX_ID_CHARS, description="of the record")]
_ENGINE_ERRORS = (CollectionNotFound, CollectionLost, UpstreamTimeout)

router = APIRouter(prefix="/vectors", tags=["vectors"], route_class=GuardedRoute)
creating = APIRouter(prefix="/vectors", tags=["vectors"], route_class=IdempotentRoute)
storing = APIRouter(prefix="/vectors", tags=["vectors"], route_class=BulkRoute)


@creating.post(
    "/collections",
    operation_id="vectors_create_collection",
    summary="Create a collection",
    status_code=201,
    response_model=CollectionRead,
    responses=responses(CollectionExists, TooManyCollections, UpstreamTimeout),
)
async def create_collection(
    body: CollectionCreate,
    caller: CollectionMaker,
    collections: Collections,
    response: Response,
) -> CollectionRead:
    """Make a collection on the engine of one's choice. Its dimension and metric stay as they are."""
    created = await collections.create(
        caller.tenant_id, body.name, engine=body.engine, dimension=body.dimension, metric=body.metric
    )
    response.headers["Location"] = f"/api/v1/vectors/collections/{body.name}"
    return collection_read(Counted(created, 0))


@router.get(
    "/collections",
    operation_id="vectors_list_collections",
    summary="List collections",
    response_model=Page[CollectionRead],
)
async def list_collections(
    caller: Reader, collections: Collections, cursors: Cursors, limit: Limit = 20, cursor: Cursor = None
) -> Page[CollectionRead]:
    """By name."""
    scope = ["vectors.collections", caller.tenant_id]
    position = cursors.decode(cursor, scope=scope)
    found = await collections.list_page(caller.tenant_id, after=position[0] if position else None, limit=limit + 1)
    page, last = cut(found, limit)
    next_cursor = cursors.encode([last.collection.name], scope=scope) if last else None
    return Page(items=[collection_read(one) for one in page], next_cursor=next_cursor)


@router.get(
    "/collections/{name}",
    operation_id="vectors_get_collection",
    summary="Read a collection",
    response_model=CollectionRead,
    responses=responses(CollectionNotFound),
)
async def get_collection(name: Name, caller: Reader, collections: Collections) -> CollectionRead:
    """A collection, whatever its status."""
    return collection_read(await collections.read(caller.tenant_id, name))


@router.delete(
    "/collections/{name}",
    operation_id="vectors_delete_collection",
    summary="Delete a collection",
    status_code=204,
    responses=responses(CollectionNotFound, UpstreamTimeout),
)
async def delete_collection(name: Name, caller: Writer, collections: Collections) -> None:
    """Delete a collection with its records. Repeated after a failure, it goes on."""
    await collections.delete(caller.tenant_id, name)


@storing.post(
    "/store",
    operation_id="vectors_store",
    summary="Store records",
    response_model=StoreResult,
    responses=responses(
        DimensionMismatch, VectorInvalid, CollectionFull, CollectionLost, EmbeddingsFailed, UpstreamTimeout
    ),
)
async def store(body: StoreRequest, caller: CollectionFiller, records: Records) -> StoreResult:
    """Store up to 1,000 records; they are durable and searchable when the answer comes. The same id again replaces."""
    stored = await records.store(caller.tenant_id, body.collection, [item.to_item() for item in body.items])
    return StoreResult(
        collection=body.collection, engine=stored.collection.engine, stored=stored.stored, ids=stored.ids
    )


@router.post(
    "/search",
    operation_id="vectors_search",
    summary="Search a collection",
    response_model=SearchResult,
    responses=responses(
        *_ENGINE_ERRORS, DimensionMismatch, VectorInvalid, FilterInvalid, UnsupportedCapability, EmbeddingsFailed
    ),
)
async def search(body: SearchRequest, caller: CollectionReader, records: Records) -> SearchResult:
    """The records nearest to a query, among those that meet the filter."""
    found = await records.search(
        caller.tenant_id,
        body.collection,
        query=body.query,
        vector=body.vector,
        k=body.k,
        condition=body.condition(),
        mode=body.mode,
    )
    return search_result(found)


@router.post(
    "/delete",
    operation_id="vectors_delete",
    summary="Delete records",
    response_model=DeleteResult,
    responses=responses(*_ENGINE_ERRORS, FilterInvalid, UnsupportedCapability),
)
async def delete(body: DeleteRequest, caller: CollectionWriter, records: Records) -> DeleteResult:
    """Delete records by id or by filter; ids that are not there are no error."""
    deleted = await records.delete(caller.tenant_id, body.collection, body.wanted())
    return DeleteResult(collection=body.collection, engine=deleted.collection.engine, deleted=deleted.deleted)


@router.get(
    "/collections/{name}/records/{record_id:path}",
    operation_id="vectors_get_record",
    summary="Read a record",
    response_model=RecordRead,
    responses=responses(*_ENGINE_ERRORS, RecordNotFound),
)
async def get_record(name: Name, record_id: RecordIdPath, caller: Reader, records: Records) -> RecordRead:
    """A record with its vector."""
    return record_read(await records.get(caller.tenant_id, name, record_id))


@router.delete(
    "/collections/{name}/records/{record_id:path}",
    operation_id="vectors_delete_record",
    summary="Delete a record",
    status_code=204,
    responses=responses(*_ENGINE_ERRORS, RecordNotFound),
)
async def delete_record(name: Name, record_id: RecordIdPath, caller: Writer, records: Records) -> None:
    """Delete one record."""
    await records.delete_one(caller.tenant_id, name, record_id)


@router.get(
    "/engines",
    operation_id="vectors_list_engines",
    summary="What each engine can do",
    response_model=EngineList,
)
async def list_engines(_caller: Reader, engines: Engines) -> EngineList:
    """Capabilities and limits of the engines of this deployment, as data."""
    return EngineList(items=[engine_read(engine) for engine in engines.values()])
