"""Carries out what replicas ask for. Nothing that they say of a collection is believed: it is looked up here."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from cachetools import LRUCache

from services.vectors.adapters import node_protocol as protocol
from services.vectors.adapters.catalogue_sqlite import SqliteCatalogue
from services.vectors.adapters.node_protocol import CATALOGUE
from services.vectors.domain import (
    COLLECTION_NAME,
    MAX_DIMENSION,
    WRITE,
    Collection,
    CollectionStatus,
    EngineName,
)
from services.vectors.errors import CollectionMissing
from services.vectors.node.permissions import PERMISSIONS, Permission
from services.vectors.ports import VectorEngine
from shared.errors import Invalid, NotFound, ServiceError, Unavailable
from shared.identity import SERVICE_PREFIX, Caller
from shared.storage import Storage

_LARGE_BYTES = 64 * 2**10
_MANY = 32  # records, or matches
_OF_WHAT_IS_GONE: Final = {"create_collection": None, "drop_collection": None, "holds": False}


@dataclass(frozen=True, slots=True)
class _Call:
    """Of a port's method, by a replica, for a caller."""

    caller: Caller
    permission: Permission
    place: str
    method: str
    arguments: dict[str, Any]

    @property
    def status(self) -> CollectionStatus:
        """That it would give a collection; no change of it is taken for the harmless one."""
        found: CollectionStatus = self.arguments.get("status", CollectionStatus.READY)
        return found


class NodeService:
    """Answers messages of `node_protocol` out of the catalogue and the engines of this process."""

    def __init__(
        self,
        catalogue: SqliteCatalogue,
        engines: Mapping[EngineName, VectorEngine],
        storage: Storage,
        replicas: str,
    ) -> None:
        """`replicas` is what vectors is to auth."""
        self._catalogue, self._storage = catalogue, storage
        self._places: dict[str, Any] = {CATALOGUE: catalogue, **{name.value: one for name, one in engines.items()}}
        self._replicas = SERVICE_PREFIX + replicas
        # Whose an id is never changes, nor its dimension; whether it is still there its engine says.
        self._known: LRUCache[str, Collection] = LRUCache(maxsize=10_000)

    async def answer(self, caller: Caller, place: str, method: str, message: bytes) -> bytes:
        """What the method returned or raised, as a message. A collection of another tenant is missing.

        Raises NotFound, MissingScope, and Invalid for a call that no replica would make.
        """
        permission = PERMISSIONS.get(place, {}).get(method)
        if permission is None or (permission.of_all_tenants and not self._is_ours(caller)):
            raise NotFound
        form = protocol.form_of(place, method)
        call = _Call(caller, permission, place, method, await _read(form, message))
        try:
            result = await self._result_of(call)
        except (ServiceError, CollectionMissing) as error:
            if (told := protocol.raised(error)) is None:
                raise
            return told
        if isinstance(result, list) and len(result) > _MANY:
            return await asyncio.to_thread(protocol.returned, form.result, result)
        return protocol.returned(form.result, result)

    async def _result_of(self, call: _Call) -> Any:
        try:
            arguments = await self._judged(call)
        except CollectionMissing:
            if call.method in _OF_WHAT_IS_GONE:
                return _OF_WHAT_IS_GONE[call.method]
            raise
        return await getattr(self._at(call.place), call.method)(**arguments)

    async def _judged(self, call: _Call) -> dict[str, Any]:
        """The arguments, with the collection as it is listed. Raises MissingScope, CollectionMissing, StorageFull."""
        collection: Collection | None = call.arguments.get("collection")
        if collection and call.method != "insert":
            collection = await self._listed(call, collection)
        if call.permission.stores:
            self._storage.require_room()
        self._require_allowed(call, collection)
        return call.arguments | ({"collection": collection} if collection else {})

    def _require_allowed(self, call: _Call, collection: Collection | None) -> None:
        if collection:
            _require_sound(collection)
        _require_name(call.arguments.get("name"))
        if self._is_ours(call.caller):
            return
        # An alias has a name of its own beside that of the collection.
        names = [name for name in (collection and collection.name, call.arguments.get("name")) if name] or [None]
        if (collection.tenant_id if collection else call.arguments.get("tenant_id")) != call.caller.tenant_id:
            raise CollectionMissing
        for name in names:
            call.permission.require(call.caller, name)
            if call.status is not CollectionStatus.READY:
                call.caller.require(WRITE, name)

    async def _listed(self, call: _Call, given: Collection) -> Collection:
        """As the catalogue has it. Raises CollectionMissing, also for what is to be made while it is deleted."""
        makes = call.method == "create_collection"
        found = None if makes else self._known.get(given.id)
        if found is None:
            found = await self._catalogue.find_by_id(given.id)
        if found is None and call.place == CATALOGUE:
            return given  # nothing happens to what is gone
        if found is None or (makes and found.status is CollectionStatus.DELETING):
            raise CollectionMissing
        if call.place not in (CATALOGUE, found.engine) or given.dimension != found.dimension:
            raise CollectionMissing
        self._known[given.id] = found
        return found

    def _at(self, place: str) -> Any:
        """Raises Unavailable for an engine that is kept elsewhere."""
        if place not in self._places:
            detail = f"{place} is not kept by the node at FAISS_URL: its settings and those of vectors differ."
            raise Unavailable(place, detail=detail)
        return self._places[place]

    def _is_ours(self, caller: Caller) -> bool:
        """Whether it is vectors itself that asks, for nobody."""
        return caller.subject == self._replicas


async def _read(form: protocol.Form, message: bytes) -> dict[str, Any]:
    """The arguments. Raises Invalid, also for vectors that are none of their collection: they break its index."""
    try:
        if len(message) > _LARGE_BYTES:
            arguments, floats = await asyncio.to_thread(protocol.read, form.arguments, message)
        else:
            arguments, floats = protocol.read(form.arguments, message)
    except ValueError as error:
        raise Invalid("The message is not one of this method.") from error
    collection = arguments.get("collection")
    if collection and (not floats.are_finite or floats.lengths - {collection.dimension}):
        raise Invalid("The vectors are none of this collection.")
    return arguments


def _require_sound(collection: Collection) -> None:
    """Its id becomes the name of a file. Raises Invalid."""
    try:
        is_sound = str(UUID(collection.id)) == collection.id
    except ValueError:
        is_sound = False
    _require_name(collection.name)
    if not (is_sound and 1 <= collection.dimension <= MAX_DIMENSION):
        raise Invalid("The collection is none that vectors would make.")


def _require_name(name: str | None) -> None:
    """Raises Invalid for what can be the name of no collection, and of no alias."""
    if name is not None and re.fullmatch(COLLECTION_NAME, name) is None:
        raise Invalid("The name is none that vectors would take.")
