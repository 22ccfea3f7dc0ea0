"""`/vectors/collections`."""

from fastapi import APIRouter, Response

from services.vectors.collections.schemas import CollectionCreate, CollectionRead
from services.vectors.dependencies import CollectionMaker, Collections, Name, Reader, Writer
from services.vectors.errors import CollectionExists, CollectionNotFound, TooManyCollections
from shared.door import ClaimingRoute, GuardedRoute, Keyed
from shared.errors import UpstreamTimeout, responses
from shared.resources import Cursor, Limit, Page, describe

router = APIRouter(prefix="/vectors/collections", tags=["vectors"], route_class=GuardedRoute)
creating = APIRouter(prefix="/vectors/collections", tags=["vectors"], route_class=ClaimingRoute)


@creating.post(
    "",
    operation_id="vectors_create_collection",
    summary="Create a collection",
    status_code=201,
    response_model=CollectionRead,
    responses=responses(CollectionExists, TooManyCollections, UpstreamTimeout),
)
async def create(
    body: CollectionCreate, caller: CollectionMaker, collections: Collections, response: Response, once: Keyed
) -> CollectionRead:
    """Make a collection on the engine of one's choice. Its dimension and metric stay as they are."""
    created = CollectionRead.of(await collections.create(caller, body, once))
    describe(response, location=f"/api/v1/vectors/collections/{created.name}")
    return created


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
    responses=responses(CollectionNotFound),
)
async def get(name: Name, caller: Reader, collections: Collections) -> CollectionRead:
    """A collection, whatever its status."""
    return CollectionRead.of(await collections.get(caller, name))


@router.delete(
    "/{name}",
    operation_id="vectors_delete_collection",
    summary="Delete a collection",
    status_code=204,
    responses=responses(CollectionNotFound, UpstreamTimeout),
)
async def delete(name: Name, caller: Writer, collections: Collections) -> None:
    """Delete a collection with its records. Repeated after a failure, it goes on."""
    await collections.delete(caller, name)
