"""`/vectors/aliases`."""

from fastapi import APIRouter, Response

from services.vectors.aliases.schemas import AliasPut, AliasRead
from services.vectors.dependencies import Aliases, AliasName, Reader, Writer
from services.vectors.errors import AliasNotFound, CollectionExists, CollectionNotFound, QuotaExceeded
from shared.door import GuardedRoute
from shared.errors import PreconditionFailed, responses
from shared.resources import Cursor, IfMatch, Limit, Page, describe, described

router = APIRouter(prefix="/api/v1/vectors/aliases", tags=["vectors"], route_class=GuardedRoute)

_TAGGED = described(tag="where it points since when, for `If-Match`: after a switch it is another")


@router.get(
    "",
    operation_id="vectors_list_aliases",
    summary="List aliases",
    response_model=Page[AliasRead],
)
async def list_page(caller: Reader, aliases: Aliases, limit: Limit = 20, cursor: Cursor = None) -> Page[AliasRead]:
    """By name."""
    found = await aliases.list_page(caller, limit, cursor)
    return found.page(AliasRead.of)


@router.put(
    "/{name}",
    operation_id="vectors_point_alias",
    summary="Make or switch an alias",
    response_model=AliasRead,
    responses={
        200: _TAGGED,
        201: {**_TAGGED, "model": AliasRead, "description": "It is new"},
        **responses(CollectionNotFound, CollectionExists, QuotaExceeded, PreconditionFailed),
    },
)
async def point(
    name: AliasName,
    body: AliasPut,
    caller: Writer,
    aliases: Aliases,
    response: Response,
    if_match: IfMatch = None,
) -> AliasRead:
    """Let a name point to a collection from now on: every request that comes after the answer finds that one.

    A collection that an alias points to is not deleted before the alias is switched or deleted.
    """
    pointed = await aliases.point(caller, name, body.collection, if_match)
    describe(response, version=pointed.alias.version)
    if pointed.is_new:
        response.status_code = 201
        describe(response, location=f"/api/v1/vectors/aliases/{name}")
    return AliasRead.of(pointed.alias)


@router.get(
    "/{name}",
    operation_id="vectors_get_alias",
    summary="Read an alias",
    response_model=AliasRead,
    responses={200: _TAGGED, **responses(AliasNotFound)},
)
async def get(name: AliasName, caller: Reader, aliases: Aliases, response: Response) -> AliasRead:
    """Where it points."""
    alias = await aliases.get(caller, name)
    describe(response, version=alias.version)
    return AliasRead.of(alias)


@router.delete(
    "/{name}",
    operation_id="vectors_delete_alias",
    summary="Delete an alias",
    status_code=204,
    responses=responses(AliasNotFound, PreconditionFailed),
)
async def delete(name: AliasName, caller: Writer, aliases: Aliases, if_match: IfMatch = None) -> None:
    """Delete the name; the collection it points to stays."""
    await aliases.delete(caller, name, if_match)
