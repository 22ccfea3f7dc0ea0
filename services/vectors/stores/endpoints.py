"""`/vector_stores`, where OpenAI's clients look for them."""

from fastapi import APIRouter

from services.vectors.errors import (
    AnswerTooLarge,
    CollectionAliased,
    CollectionChanged,
    CollectionLost,
    CollectionNotFound,
    DimensionMismatch,
    EmbeddingsBusy,
    EmbeddingsFailed,
    FilterInvalid,
    ModelMismatch,
    QuotaExceeded,
    TextExpands,
    TooMuchText,
    UnsupportedCapability,
    WordsMissing,
)
from services.vectors.files.errors import FileNotFound, FileUnfinished
from services.vectors.paging import page_of
from services.vectors.stores.dependencies import (
    OpenAIClaimingRoute,
    StoreId,
    StoreMaker,
    StoreReader,
    Stores,
    StoresAsked,
    StoreSearcher,
    StoreSearches,
    StoreWriter,
)
from services.vectors.stores.errors import ChunksTooLarge, EngineFixed, PlaceUnknown, StoreExpired
from services.vectors.stores.schemas import StoreCreate, StoreDeleted, StoreRead, StoreUpdate
from services.vectors.stores.search_schemas import StoreFound, StoreFoundPage, StoreSearch
from shared.door import Keyed, takes
from shared.errors import UpstreamTimeout
from shared.openai import Listed, OpenAIRoute, openai_responses

router = APIRouter(prefix="/api/v1/vector_stores", tags=["vectors"], route_class=OpenAIRoute)
creating = APIRouter(prefix="/api/v1/vector_stores", tags=["vectors"], route_class=OpenAIClaimingRoute)


@creating.post(
    "",
    operation_id="vectors_create_vector_store",
    summary="Create a vector store",
    response_model=StoreRead,
    responses=openai_responses(QuotaExceeded, FileNotFound, FileUnfinished, ChunksTooLarge, UpstreamTimeout),
)
async def create(body: StoreCreate, caller: StoreMaker, stores: Stores, once: Keyed) -> StoreRead:
    """A collection under a new name, which is the id. With `file_ids`, which take `tasks:write` and `vectors:read` too,
    the ingestion of each is submitted. Without `expires_after` a store stays until it is deleted."""
    return StoreRead.of(await stores.create(caller, body, once))


@router.get(
    "",
    operation_id="vectors_list_vector_stores",
    summary="List vector stores",
    response_model=Listed[StoreRead],
    responses=openai_responses(PlaceUnknown),
)
async def list_page(caller: StoreReader, stores: Stores, span: StoresAsked) -> Listed[StoreRead]:
    """All collections of the tenant, also those of `/vectors/collections`."""
    return page_of([StoreRead.of(store) for store in await stores.list_page(caller, span)], span)


@router.get(
    "/{vector_store_id}",
    operation_id="vectors_get_vector_store",
    summary="Read a vector store",
    response_model=StoreRead,
    responses=openai_responses(CollectionNotFound),
)
async def get(vector_store_id: StoreId, caller: StoreReader, stores: Stores) -> StoreRead:
    """What it is, and how far its files are."""
    return StoreRead.of(await stores.get(caller, vector_store_id))


@router.post(
    "/{vector_store_id}",
    operation_id="vectors_update_vector_store",
    summary="Change what is told of a vector store",
    response_model=StoreRead,
    responses=openai_responses(CollectionNotFound, EngineFixed),
)
async def update(vector_store_id: StoreId, body: StoreUpdate, caller: StoreWriter, stores: Stores) -> StoreRead:
    """What is left out, or null, stays; `metadata` is replaced as a whole."""
    return StoreRead.of(await stores.update(caller, vector_store_id, body))


@router.delete(
    "/{vector_store_id}",
    operation_id="vectors_delete_vector_store",
    summary="Delete a vector store",
    response_model=StoreDeleted,
    responses=openai_responses(CollectionNotFound, CollectionAliased, UpstreamTimeout),
)
async def delete(vector_store_id: StoreId, caller: StoreWriter, stores: Stores) -> StoreDeleted:
    """With what was ingested into it; the files themselves stay. Ingestions that go on end, and make nothing anew."""
    await stores.delete(caller, vector_store_id)
    return StoreDeleted(id=vector_store_id)


@router.post(
    "/{vector_store_id}/search",
    operation_id="vectors_search_vector_store",
    summary="Search a vector store",
    response_model=StoreFoundPage,
    responses=openai_responses(
        CollectionNotFound,
        CollectionLost,
        CollectionChanged,
        StoreExpired,
        WordsMissing,
        FilterInvalid,
        UnsupportedCapability,
        ModelMismatch,
        DimensionMismatch,
        AnswerTooLarge,
        TextExpands,
        TooMuchText,
        EmbeddingsBusy,
        EmbeddingsFailed,
        UpstreamTimeout,
    ),
)
@takes(kib=512, values=12_000, texts=8_000, depth=32)
async def search(
    vector_store_id: StoreId, body: StoreSearch, caller: StoreSearcher, searches: StoreSearches
) -> StoreFoundPage:
    """The parts of files that answer a question best, or one of several. `rewrite_query` is refused."""
    found = await searches.search(caller, vector_store_id, body)
    data = [
        StoreFound.of(one.file_id, one.file_name, one.match.score, one.match.text, one.match.metadata) for one in found
    ]
    return StoreFoundPage(search_query=body.query, data=data)
