"""Whether an engine still holds what the catalogue says it does: the health check asks, a few collections at a time."""

import logging
from collections.abc import Sequence

from services.vectors.domain import Collection, CollectionStatus
from services.vectors.ports import Catalogue, VectorEngine
from shared.health import Finding

_log = logging.getLogger("vectors.presence")
_AT_ONCE = 4  # a check has a second


class Presence:
    """Goes round the collections of one engine. An engine that is back with nothing is found out by the first look."""

    def __init__(self, catalogue: Catalogue, engine: VectorEngine) -> None:
        self._catalogue = catalogue
        self._engine = engine
        self._after: str | None = None
        self._lost: dict[str, Collection] = {}

    async def check(self) -> None:
        """Raises when the engine cannot write or has lost collections (Finding); whose they are is for the log only."""
        await self._engine.check()
        await self._look_at(list(self._lost.values())[:_AT_ONCE])
        await self._look_at(await self._next())
        if self._lost:
            known = f"at least {len(self._lost)}" if self._after else str(len(self._lost))
            component = self._engine.name.component
            raise Finding(f"{component} has lost collections, {known} of them", "restore its data or delete them")

    async def _next(self) -> Sequence[Collection]:
        found = await self._catalogue.list_ready(self._engine.name, after=self._after, limit=_AT_ONCE)
        self._after = found[-1].id if len(found) == _AT_ONCE else None
        return found

    async def _look_at(self, collections: Sequence[Collection]) -> None:
        for collection in collections:
            was_lost = self._lost.pop(collection.id, None)
            if not await self._is_lost(collection):
                continue
            self._lost[collection.id] = collection  # at the end: the others have their turn first
            if not was_lost:
                fields = {"component": self._engine.name.component, "collection": collection.id}
                _log.error("a collection is lost", extra={"fields": fields})

    async def _is_lost(self, collection: Collection) -> bool:
        if await self._engine.holds(collection):
            return False
        present = await self._catalogue.find(collection.tenant_id, collection.name)
        return present is not None and (present.id, present.status) == (collection.id, CollectionStatus.READY)
