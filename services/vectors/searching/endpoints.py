"""`/vectors/search` and `/vectors/search/batch`."""

from typing import Any

from fastapi import APIRouter, Response

from services.vectors.dependencies import BatchReader, CollectionReader, Searches
from services.vectors.domain import MAX_DIMENSION
from services.vectors.errors import (
    AnswerTooLarge,
    CollectionChanged,
    CollectionLost,
    CollectionNotFound,
    DimensionMismatch,
    EmbeddingsBusy,
    EmbeddingsFailed,
    FilterInvalid,
    ModelMismatch,
    RerankFailed,
    RerankUnconfigured,
    TextExpands,
    TooMuchText,
    UnsupportedCapability,
    VectorInvalid,
    WordsMissing,
)
from services.vectors.records import quick
from services.vectors.records.binary import BinaryRequest, in_bytes
from services.vectors.records.bulk import BulkRequest
from services.vectors.searching.answers import all_written, answered, written
from services.vectors.searching.schemas import SearchBatch, SearchBatchResult, SearchRequest, SearchResult
from services.vectors.stores.errors import StoreExpired
from shared.door import GuardedRoute, takes
from shared.errors import UpstreamTimeout, responses

_REFUSED = responses(
    CollectionNotFound,
    CollectionLost,
    CollectionChanged,
    StoreExpired,
    WordsMissing,
    DimensionMismatch,
    VectorInvalid,
    FilterInvalid,
    UnsupportedCapability,
    AnswerTooLarge,
    ModelMismatch,
    TextExpands,
    TooMuchText,
    EmbeddingsBusy,
    EmbeddingsFailed,
    RerankUnconfigured,
    RerankFailed,
    UpstreamTimeout,
)


_SEARCH_KIB = 512


class SearchBody(BinaryRequest):
    """Of a search, whose body is short."""

    model = SearchRequest

    async def parsed(self, body: bytes) -> Any:
        if self.is_binary:
            return await super().parsed(body)
        self.bounds.require_shape(body)
        return quick.loads(body)


class SearchRoute(GuardedRoute):
    """The route of `POST /vectors/search`."""

    request_class = SearchBody


class BatchRequest(BulkRequest):
    """JSON only: each of its searches has a vector of its own, or none."""

    model = SearchBatch
    takes_bytes = False
    also = ""


class BatchRoute(GuardedRoute):
    """A batch with vectors is as large as a store of some records, and read like one."""

    request_class = BatchRequest


router = APIRouter(prefix="/api/v1/vectors", tags=["vectors"], route_class=SearchRoute)
batches = APIRouter(prefix="/api/v1/vectors", tags=["vectors"], route_class=BatchRoute)


@router.post(
    "/search",
    operation_id="vectors_search",
    summary="Search a collection",
    response_model=SearchResult,
    responses=_REFUSED,
    openapi_extra=in_bytes(kib=_SEARCH_KIB, row="search"),
)
@takes(kib=_SEARCH_KIB, values=12_000, texts=8_000, depth=32)
async def search(body: SearchRequest, caller: CollectionReader, searches: Searches) -> Response:
    """The records nearest to a query, or with its words, or both, among those that meet the filter; with `rerank` the
    best of them in the order of a model that reads the query and their texts."""
    found = await searches.search(caller, body)
    return await answered(written, found, found.hits)


@batches.post(
    "/search/batch",
    operation_id="vectors_search_batch",
    summary="Search many times at once",
    response_model=SearchBatchResult,
    responses=_REFUSED,
)
# Sixty-four vectors, and filters of the usual size with them.
@takes(kib=6 * 1024, values=300_000, texts=32_000, depth=34, holders=20_000, row=2 * MAX_DIMENSION)
async def search_batch(body: SearchBatch, caller: BatchReader, searches: Searches) -> Response:
    """Up to 64 searches, each of its own collection. All are answered, or the first that cannot be refuses them all:
    `errors` points at it. A key for one collection needs `POST /vectors/search`."""
    all_found = await searches.search_batch(caller, body)
    return await answered(all_written, all_found, [hit for one in all_found.found for hit in one.hits])
