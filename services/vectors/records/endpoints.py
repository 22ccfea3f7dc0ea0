"""`/vectors/store`, `/vectors/delete` and single records."""

from fastapi import APIRouter

from services.vectors.dependencies import (
    CollectionFiller,
    CollectionWriter,
    Listings,
    Name,
    Reader,
    RecordId,
    Records,
    Writer,
)
from services.vectors.domain import MAX_DIMENSION
from services.vectors.errors import (
    AnswerTooLarge,
    CollectionChanged,
    CollectionFull,
    CollectionLost,
    CollectionNotFound,
    DimensionMismatch,
    EmbeddingsBusy,
    EmbeddingsFailed,
    FilterInvalid,
    MetadataTooLarge,
    ModelMismatch,
    QuotaExceeded,
    RecordNotFound,
    TextExpands,
    TooMuchText,
    UnsupportedCapability,
    VectorInvalid,
)
from services.vectors.records.binary import in_bytes
from services.vectors.records.bulk import BulkRoute
from services.vectors.records.listing import Listing
from services.vectors.records.listing_schemas import QueryFilter, RecordPage, RecordUpdate, WithCount, WithVectors
from services.vectors.records.schemas import (
    DeleteRequest,
    DeleteResult,
    RecordRead,
    StoreRequest,
    StoreResult,
)
from services.vectors.stores.errors import AttachmentChanged
from shared.door import GuardedRoute, Keyed, stores_nothing, takes
from shared.errors import UpstreamTimeout, responses
from shared.resources import Cursor, Limit

_ENGINE_ERRORS = (CollectionNotFound, CollectionLost, UpstreamTimeout)
_EMBEDDING_ERRORS = (ModelMismatch, TextExpands, TooMuchText, EmbeddingsBusy, EmbeddingsFailed)
_STORE_KIB, _SEARCH_KIB = 32 * 1024, 512

router = APIRouter(prefix="/api/v1/vectors", tags=["vectors"], route_class=GuardedRoute)
creating = APIRouter(prefix="/api/v1/vectors", tags=["vectors"], route_class=BulkRoute)


@creating.post(
    "/store",
    operation_id="vectors_store",
    summary="Store records",
    response_model=StoreResult,
    responses=responses(
        DimensionMismatch,
        VectorInvalid,
        CollectionFull,
        CollectionLost,
        CollectionChanged,
        QuotaExceeded,
        AttachmentChanged,
        *_EMBEDDING_ERRORS,
        UpstreamTimeout,
    ),
    openapi_extra=in_bytes(kib=_STORE_KIB, row="item"),
)
# A thousand vectors, and the usual metadata with them: an item has three objects and lists, and those in its metadata.
@takes(kib=_STORE_KIB, values=4_300_000, texts=200_000, holders=70_000, row=2 * MAX_DIMENSION)
async def store(body: StoreRequest, caller: CollectionFiller, records: Records, once: Keyed) -> StoreResult:
    """Store up to 1,000 records; they are durable and searchable when the answer comes. The same id again replaces."""
    return StoreResult.of(await records.store(caller, body, once))


@router.post(
    "/delete",
    operation_id="vectors_delete",
    summary="Delete records",
    response_model=DeleteResult,
    responses=responses(*_ENGINE_ERRORS, AttachmentChanged, FilterInvalid, UnsupportedCapability),
)
@stores_nothing
@takes(kib=1024, values=8_000, texts=8_000, depth=32)
async def delete(body: DeleteRequest, caller: CollectionWriter, records: Records) -> DeleteResult:
    """Delete records by id or by filter; ids that are not there are no error."""
    return DeleteResult.of(await records.delete(caller, body))


@router.get(
    "/collections/{name}/records",
    operation_id="vectors_list_records",
    summary="List records",
    response_model=RecordPage,
    responses=responses(*_ENGINE_ERRORS, FilterInvalid, UnsupportedCapability, AnswerTooLarge),
)
async def list_page(
    name: Name,
    caller: Reader,
    listing: Listings,
    limit: Limit = 20,
    cursor: Cursor = None,
    filter: QueryFilter = None,
    include_vectors: WithVectors = False,
    count: WithCount = False,
) -> RecordPage:
    """The records that meet the filter, each once, in an order of the engine's own: what stays is never missed."""
    asked = Listing(limit, cursor, filter, with_vectors=include_vectors, with_count=count)
    return RecordPage.of(await listing.list_page(caller, name, asked))


@router.get(
    "/collections/{name}/records/{record_id:path}",
    operation_id="vectors_get_record",
    summary="Read a record",
    response_model=RecordRead,
    responses=responses(*_ENGINE_ERRORS, RecordNotFound, AnswerTooLarge),
)
async def get(name: Name, record_id: RecordId, caller: Reader, records: Records) -> RecordRead:
    """A record with its vector."""
    return RecordRead.of(await records.get(caller, name, record_id))


@router.patch(
    "/collections/{name}/records/{record_id:path}",
    operation_id="vectors_update_record",
    summary="Change a record's metadata",
    response_model=RecordRead,
    responses=responses(*_ENGINE_ERRORS, RecordNotFound, MetadataTooLarge, AnswerTooLarge),
)
@takes(kib=1024, values=8_000, texts=8_000)
async def update(name: Name, record_id: RecordId, body: RecordUpdate, caller: Writer, records: Records) -> RecordRead:
    """Merge members into a record's metadata (RFC 7396); of two changes at once, none is lost."""
    return RecordRead.of(await records.update(caller, name, record_id, body.metadata))


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
