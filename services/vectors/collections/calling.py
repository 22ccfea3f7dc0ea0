"""Calls an engine about a collection that may have been deleted, and made anew, since it was looked up."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.vectors.collections.domain import Named
from services.vectors.collections.service import CollectionService
from services.vectors.domain import Collection
from services.vectors.errors import CollectionChanged, CollectionMissing, CollectionNotFound
from services.vectors.ports import VectorEngine
from shared.identity import Caller

Result = TypeVar("Result")


async def on_engine(
    collections: CollectionService,
    caller: Caller,
    named: Named,
    collection: Collection,
    call: Callable[[VectorEngine, Collection], Awaitable[Result]],
    *,
    has_vectors: bool = False,
) -> tuple[Collection, Result]:
    """Call the engine; once more when what is `named` is another since it was looked up.

    That is a collection that was deleted and made anew, or what an alias was switched to. With `has_vectors`, which
    were made for the one that was looked up, only for another of its dimension and metric. Raises CollectionChanged,
    CollectionNotFound, CollectionLost, MissingScope, and what `call` does.
    """
    try:
        return collection, await call(collections.engine_of(collection), collection)
    except CollectionMissing:
        present = await collections.get_anew(caller, named, collection)
    if has_vectors and (present.dimension, present.metric) != (collection.dimension, collection.metric):
        raise CollectionChanged(named.name)
    try:
        return present, await call(collections.engine_of(present), present)
    except CollectionMissing as error:
        raise CollectionNotFound(named.name) from error


async def anew_when_changed(work: Callable[[], Awaitable[Result]]) -> Result:
    """All of `work`, once more when it met a CollectionChanged: its vectors are looked at, or made, for what is now.

    Raises CollectionChanged when it is changed again meanwhile.
    """
    try:
        return await work()
    except CollectionChanged:
        return await work()
