"""The annotated types that the routes of vector stores ask for."""

from typing import Annotated, Literal

from fastapi import Depends, Path, Query

from services.vectors.dependencies import FileId
from services.vectors.domain import COLLECTION_NAME
from services.vectors.stores.attaching import AttachmentService
from services.vectors.stores.attributes import AttributeService
from services.vectors.stores.domain import Span
from services.vectors.stores.parts import PartService
from services.vectors.stores.searching import StoreSearchService
from services.vectors.stores.service import StoreService
from shared.door import ClaimingRoute, held, requires
from shared.errors import Invalid
from shared.identity import Caller
from shared.openai import OPENAI
from shared.schemas import Id

# A new store has no name yet that a scope could be narrowed to.
StoreMaker = Annotated[Caller, requires("vectors:write", is_narrowed=False)]
StoreReader = Annotated[Caller, requires("vectors:read")]
StoreSearcher = Annotated[Caller, requires("vectors:read", limit="read")]
StoreWriter = Annotated[Caller, requires("vectors:write")]
Attacher = Annotated[Caller, requires("vectors:write", "vectors:read", "tasks:write", limit="bulk")]
Changer = Annotated[Caller, requires("vectors:write", "vectors:read")]

StoreId = Annotated[str, Path(pattern=COLLECTION_NAME, description="of the vector store: its collection's name")]
AttachedId = FileId
BatchId = Annotated[Id, Path(description="of the batch")]

Stores = Annotated[StoreService, held("stores")]
Attachments = Annotated[AttachmentService, held("attachments")]
Parts = Annotated[PartService, held("parts")]
Attribution = Annotated[AttributeService, held("attributes")]
StoreSearches = Annotated[StoreSearchService, held("store_searches")]
Order = Annotated[Literal["asc", "desc"], Query(description="by age")]
PageLimit = Annotated[int, Query(ge=1, le=100)]


class OpenAIClaimingRoute(ClaimingRoute):
    """Of a POST whose effect no transaction keeps together, in OpenAI's shape."""

    dialect = OPENAI


def span_of(limit: int, order: str, after: str | None, before: str | None) -> Span:
    """One more than `limit`, which tells whether others follow. Raises Invalid for both ends at once."""
    if after is not None and before is not None:
        raise Invalid.field("query/before", "one_end", "Give either 'after' or 'before'.")
    return Span(limit + 1, newest_first=order == "desc", after=after, before=before)


async def _stores_asked(
    limit: PageLimit = 20,
    order: Order = "desc",
    after: Annotated[str | None, Query(pattern=COLLECTION_NAME, description="the last id of the page before")] = None,
    before: Annotated[str | None, Query(pattern=COLLECTION_NAME, description="the first id of the page after")] = None,
) -> Span:
    return span_of(limit, order, after, before)


async def _files_asked(
    limit: PageLimit = 20,
    order: Order = "desc",
    after: Annotated[Id | None, Query(description="the last id of the page before")] = None,
    before: Annotated[Id | None, Query(description="the first id of the page after")] = None,
) -> Span:
    return span_of(limit, order, after, before)


StoresAsked = Annotated[Span, Depends(_stores_asked)]
FilesAsked = Annotated[Span, Depends(_files_asked)]
