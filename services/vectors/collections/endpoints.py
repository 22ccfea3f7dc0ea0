"""`/vectors/collections`."""

from fastapi import APIRouter, Response

from services.vectors.collections.schemas import CollectionCreate, CollectionRead
from services.vectors.dependencies import CollectionMaker, Collections, Name, Reader, Writer
from services.vectors.errors import AliasExists, CollectionAliased, CollectionExists, CollectionNotFound, QuotaExceeded
from shared.door import ClaimingRoute, GuardedRoute, Keyed
from shared.errors import PreconditionFailed, UpstreamTimeout, responses
from shared.resources import Cursor, IfMatch, Limit, Page, describe, described

router = APIRouter(prefix="/api/v1/vectors/collections", tags=["vectors"], route_class=GuardedRoute)
creating = APIRouter(prefix="/api/v1/vectors/collections", tags=["vectors"], route_class=ClaimingRoute)

_TAGGED = described(tag="which collection it is, for `If-Match`: one made anew under the name has another")


@creating.post(
    "",
    operation_id="vectors_create_collection",
    summary="Create a collection",
    status_code=201,
    response_model=CollectionRead,
    responses=responses(CollectionExists, AliasExists, QuotaExceeded, UpstreamTimeout),
)
async def create(
    body: CollectionCreate, caller: CollectionMaker, collections: Collections, response: Response, once: Keyed
) -> CollectionRead:
    """Make a collection on the engine of one's choice. Its dimension and metric stay as they are."""
    made = await collections.create(caller, body, once)
    describe(response, version=made.collection.id, location=f"/api/v1/vectors/collections/{made.collection.name}")
    return CollectionRead.of(made)


@router.get(
    "",
    operation_id="vectors_list_collections",
    summary="List collections",
    response_model=Page[CollectionRead],
)
async def list_page(
    caller: Reader, collections: Collections, limit: Limit = 20, cursor: Cursor = None
) -> Page[CollectionRead]:
    """By name."""
    found = await collections.list_page(caller, limit, cursor)
    return found.page(CollectionRead.of)


@router.get(
    "/{name}",
    operation_id="vectors_get_collection",
    summary="Read a collection",
    response_model=CollectionRead,
    responses={200: _TAGGED, **responses(CollectionNotFound)},
)
async def get(name: Name, caller: Reader, collections: Collections, response: Response) -> CollectionRead:
    """A collection, whatever its status. Its tag says which it is, not what is in it."""
    found = await collections.get(caller, name)
    describe(response, version=found.collection.id)
    return CollectionRead.of(found)


@router.delete(
    "/{name}",
    operation_id="vectors_delete_collection",
    summary="Delete a collection",
    status_code=204,
    responses=responses(CollectionNotFound, CollectionAliased, PreconditionFailed, UpstreamTimeout),
)
async def delete(name: Name, caller: Writer, collections: Collections, if_match: IfMatch = None) -> None:
    """Delete a collection with its records; none that an alias points to. Repeated after a failure, it goes on."""
    await collections.delete(caller, name, if_match)
