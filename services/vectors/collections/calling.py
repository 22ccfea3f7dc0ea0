"""Calls an engine about a collection that may have been deleted, and made anew, since it was looked up."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.vectors.collections.domain import Named
from services.vectors.collections.service import CollectionService
from services.vectors.domain import Collection
from services.vectors.errors import CollectionMissing, CollectionNotFound
from services.vectors.ports import VectorEngine
from shared.identity import Caller

Result = TypeVar("Result")


async def on_engine(
    collections: CollectionService,
    caller: Caller,
    named: Named,
    collection: Collection,
    call: Callable[[VectorEngine, Collection], Awaitable[Result]],
) -> tuple[Collection, Result]:
    """Call the engine; once more when what is `named` is another since it was looked up.

    That is a collection that was deleted and made anew, or what an alias was switched to. Raises CollectionNotFound,
    CollectionLost, MissingScope, and what `call` does.
    """
    try:
        return collection, await call(collections.engine_of(collection), collection)
    except CollectionMissing:
        present = await collections.get_anew(caller, named, collection)
    if (present.dimension, present.metric) != (collection.dimension, collection.metric):
        raise CollectionNotFound(named.name)  # what was asked for is gone; its name now means something else
    try:
        return present, await call(collections.engine_of(present), present)
    except CollectionMissing as error:
        raise CollectionNotFound(named.name) from error
