"""`/vectors/store`, `/vectors/search`, `/vectors/delete` and single records."""

from fastapi import APIRouter

from services.vectors.dependencies import (
    CollectionFiller,
    CollectionReader,
    CollectionWriter,
    Name,
    Reader,
    RecordId,
    Records,
    Writer,
)
from services.vectors.domain import MAX_DIMENSION
from services.vectors.errors import (
    CollectionFull,
    CollectionLost,
    CollectionNotFound,
    DimensionMismatch,
    EmbeddingsBusy,
    EmbeddingsFailed,
    FilterInvalid,
    ModelMismatch,
    RecordNotFound,
    TooMuchText,
    UnsupportedCapability,
    VectorInvalid,
)
from services.vectors.records.binary import in_bytes
from services.vectors.records.bulk import BulkRoute, SearchRoute
from services.vectors.records.schemas import (
    DeleteRequest,
    DeleteResult,
    RecordRead,
    SearchRequest,
    SearchResult,
    StoreRequest,
    StoreResult,
)
from shared.door import GuardedRoute, Keyed, stores_nothing, takes
from shared.errors import UpstreamTimeout, responses

_ENGINE_ERRORS = (CollectionNotFound, CollectionLost, UpstreamTimeout)
_EMBEDDING_ERRORS = (ModelMismatch, TooMuchText, EmbeddingsBusy, EmbeddingsFailed)
_STORE_KIB, _SEARCH_KIB = 32 * 1024, 512

router = APIRouter(prefix="/vectors", tags=["vectors"], route_class=GuardedRoute)
creating = APIRouter(prefix="/vectors", tags=["vectors"], route_class=BulkRoute)
searching = APIRouter(prefix="/vectors", tags=["vectors"], route_class=SearchRoute)


@creating.post(
    "/store",
    operation_id="vectors_store",
    summary="Store records",
    response_model=StoreResult,
    responses=responses(
        DimensionMismatch, VectorInvalid, CollectionFull, CollectionLost, *_EMBEDDING_ERRORS, UpstreamTimeout
    ),
    openapi_extra=in_bytes(kib=_STORE_KIB, row="item"),
)
# A thousand vectors, and the usual metadata with them: an item has three objects and lists, and those in its metadata.
@takes(kib=_STORE_KIB, values=4_300_000, texts=200_000, holders=70_000, row=2 * MAX_DIMENSION)
async def store(body: StoreRequest, caller: CollectionFiller, records: Records, once: Keyed) -> StoreResult:
    """Store up to 1,000 records; they are durable and searchable when the answer comes. The same id again replaces."""
    return StoreResult.of(await records.store(caller, body, once))


@searching.post(
    "/search",
    operation_id="vectors_search",
    summary="Search a collection",
    response_model=SearchResult,
    responses=responses(
        *_ENGINE_ERRORS, DimensionMismatch, VectorInvalid, FilterInvalid, UnsupportedCapability, *_EMBEDDING_ERRORS
    ),
    openapi_extra=in_bytes(kib=_SEARCH_KIB, row="search"),
)
@takes(kib=_SEARCH_KIB, values=12_000, texts=8_000, depth=32)
async def search(body: SearchRequest, caller: CollectionReader, records: Records) -> SearchResult:
    """The records nearest to a query, among those that meet the filter."""
    return SearchResult.of(await records.search(caller, body))


@router.post(
    "/delete",
    operation_id="vectors_delete",
    summary="Delete records",
    response_model=DeleteResult,
    responses=responses(*_ENGINE_ERRORS, FilterInvalid, UnsupportedCapability),
)
@stores_nothing
@takes(kib=1024, values=8_000, texts=8_000, depth=32)
async def delete(body: DeleteRequest, caller: CollectionWriter, records: Records) -> DeleteResult:
    """Delete records by id or by filter; ids that are not there are no error."""
    return DeleteResult.of(await records.delete(caller, body))


@router.get(
    "/collections/{name}/records/{record_id:path}",
    operation_id="vectors_get_record",
    summary="Read a record",
    response_model=RecordRead,
    responses=responses(*_ENGINE_ERRORS, RecordNotFound),
)
async def get(name: Name, record_id: RecordId, caller: Reader, records: Records) -> RecordRead:
    """A record with its vector."""
    return RecordRead.of(await records.get(caller, name, record_id))


@router.delete(
    "/collections/{name}/records/{record_id:path}",
    operation_id="vectors_delete_record",
    summary="Delete a record",
    status_code=204,
    responses=responses(*_ENGINE_ERRORS, RecordNotFound),
)
async def delete_one(name: Name, record_id: RecordId, caller: Writer, records: Records) -> None:
    """Delete one record."""
    await records.delete_one(caller, name, record_id)
