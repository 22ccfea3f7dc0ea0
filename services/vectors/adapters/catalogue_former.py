"""The list of collections that earlier versions kept on the Qdrant server: read once, into the service's own catalogue.

Until it has been read, a name that is not in the catalogue may be there, so "not found" would be a guess: it is refused
with Qdrant's name instead. What is in the catalogue, and what is made meanwhile, does not wait for Qdrant.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from services.vectors.adapters.catalogue_sqlite import SqliteCatalogue
from services.vectors.adapters.qdrant_connection import Call, QdrantConnection
from services.vectors.domain import Collection, CollectionStatus, EngineName, Metric
from services.vectors.errors import CollectionMissing
from shared.errors import Unavailable

FORMER_CATALOGUE = "sutazai-catalogue"
_log = logging.getLogger("vectors.catalogue")
_FIRST_TRY_SECONDS = 5.0
_AT_ONCE = 1000


class AdoptingCatalogue(SqliteCatalogue):
    """The catalogue of a service that has a Qdrant server; `adopt` is to be repeated until it has succeeded."""

    def __init__(self, path: Path, qdrant: QdrantConnection, former: str = FORMER_CATALOGUE) -> None:
        super().__init__(path)
        self._qdrant = qdrant
        self._former = former
        self._adopted = False
        self._tried = asyncio.Event()

    async def adopt(self) -> None:
        """Take over what an earlier version listed on Qdrant, once; nothing on Qdrant is changed."""
        if self._adopted:
            return
        try:
            if not await self.has_adopted():
                renamed = await self.take(await _listed(self._qdrant, self._former))
                if renamed:
                    _log.warning(
                        "collections whose names were taken got others", extra={"fields": {"renamed": renamed}}
                    )
            self._adopted = True
        finally:
            self._tried.set()

    async def find(self, tenant_id: str, name: str) -> Collection | None:
        return await self._surely(super().find, tenant_id, name)

    async def resolve(self, tenant_id: str, name: str) -> Collection | None:
        return await self._surely(super().resolve, tenant_id, name)

    async def _surely(
        self, find: Callable[[str, str], Awaitable[Collection | None]], tenant_id: str, name: str
    ) -> Collection | None:
        found = await find(tenant_id, name)
        if found is not None or self._adopted:
            return found
        await self._first_try()
        if self._adopted:
            return await find(tenant_id, name)
        component = EngineName.QDRANT.component
        raise Unavailable(component, detail=f"{component} has not answered yet whether there is a collection {name!r}.")

    async def _first_try(self) -> None:
        try:
            async with asyncio.timeout(_FIRST_TRY_SECONDS):
                await self._tried.wait()
        except TimeoutError:
            return


async def _listed(qdrant: QdrantConnection, former: str) -> list[Collection]:
    found: list[Collection] = []
    after: Any = None
    while True:
        try:
            points, after = await qdrant.run(_page(former, after))
        except CollectionMissing:  # no earlier version was here
            return found
        found += [one for point in points if (one := _collection(point.payload or {}))]
        if after is None:
            return found


def _page(former: str, after: Any) -> Call[Any]:
    return lambda client, _: client.scroll(former, limit=_AT_ONCE, offset=after)


def _collection(payload: dict[str, Any]) -> Collection | None:
    try:
        return Collection(
            id=payload["id"],
            tenant_id=payload["tenant_id"],
            name=payload["name"],
            engine=EngineName(payload["engine"]),
            dimension=payload["dimension"],
            metric=Metric(payload["metric"]),
            created_at=datetime.fromisoformat(payload["created_at"]),
            status=CollectionStatus(payload["status"]),
        )
    except (KeyError, ValueError, TypeError):
        _log.exception("a collection that cannot be read is left behind", extra={"fields": {"payload": payload}})
        return None
