"""Stores that expire: whoever uses one puts that off; what nobody used for its days is refused, and then deleted.

It is used by a search, by whatever door, and by attaching a file. That is written down at most every ten minutes, which
is little beside days; what was used so lately has not expired, so most searches ask nothing here.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from cachetools import TTLCache

from services.vectors.collections.service import CollectionService
from services.vectors.domain import Collection
from services.vectors.ports import Catalogue
from services.vectors.stores.domain import KEPT_EXPIRED, Expired
from services.vectors.stores.errors import StoreExpired
from shared.errors import ServiceError, StorageFull
from shared.identity import Caller

log = logging.getLogger("vectors.stores")
EVERY_SECONDS: Final = 300.0
_REMEMBERED_SECONDS: Final = 600.0
_AT_ONCE: Final = 50


class Activity:
    """Built once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._lately: TTLCache[str, bool] = TTLCache(10_000, _REMEMBERED_SECONDS)

    async def note(self, collection: Collection) -> None:
        """It is used. Raises StoreExpired. Where no disk has room to write that down, the next use may."""
        if collection.id in self._lately:
            return
        try:
            is_there = await self._catalogue.touch(collection, datetime.now(UTC))
        except StorageFull:  # so it has not expired: of what has, nothing is written
            return
        if not is_there:
            raise StoreExpired(collection.name)
        self._lately[collection.id] = True


class Sweeper:
    """One in each replica: what two of them delete is deleted all the same."""

    def __init__(self, catalogue: Catalogue, collections: CollectionService, kept: timedelta = KEPT_EXPIRED) -> None:
        self._catalogue, self._collections, self._kept = catalogue, collections, kept
        self._failed = set[str]()

    async def sweep(self) -> bool:
        """Delete some of those that were found to have expired `kept` ago; whether there may be more.

        What fails, as its engine is away, waits for the others to have their turn.
        """
        now = datetime.now(UTC)
        seen = now - self._kept
        over = await self._catalogue.list_expired(now, seen=seen, limit=_AT_ONCE + len(self._failed))
        due = [one for one in over if one.collection.id not in self._failed][:_AT_ONCE]
        done = [await self._delete(one, seen) for one in due]
        self._failed |= {one.collection.id for one, is_done in zip(due, done, strict=True) if not is_done}
        if len(done) < _AT_ONCE:
            self._failed.clear()
        return len(done) == _AT_ONCE and any(done)

    async def _delete(self, expired: Expired, seen: datetime) -> bool:
        collection = expired.collection
        try:
            if not await self._catalogue.retire_expired(collection, seen):
                return False  # used meanwhile, or an alias points to it
            await self._collections.drop(_named(expired), collection)
        except ServiceError as error:
            log.warning("store not swept", extra={"fields": {"collection": collection.id, "cause": error.detail}})
            return False
        log.info("store swept", extra={"fields": {"collection": collection.id}})
        return True


def _named(expired: Expired) -> Caller:
    """Who wanted it to expire, to be named and for nothing else."""
    return Caller(expired.by, expired.collection.tenant_id, frozenset(), "", 0.0, 0.0, "")
