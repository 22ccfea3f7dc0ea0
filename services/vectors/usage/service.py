"""The use cases around usage: what a tenant has, and whether more fits.

A store costs no count. Of each tenant it is known how much there was when it was last looked, and how much was let in
since, as if all of it were new: at least as much as there is. Only when more than that does not fit, or it was looked
long ago, is it looked again, at what has changed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cachetools import LRUCache, TTLCache

from services.vectors.domain import Collection, CollectionStatus, EngineName, Record
from services.vectors.errors import AnswerTooLarge, CollectionMissing, QuotaExceeded
from services.vectors.ports import Catalogue, VectorEngine
from services.vectors.usage.domain import NOTHING, Quotas, Size, Usage, estimated
from shared.errors import Unavailable, UpstreamTimeout
from shared.identity import Caller

_LOOKED_AT_ONCE = 8
_SAMPLE = 100  # records by whose texts and metadata those of a collection are estimated
_FEW = 7  # where they are large: each as it comes has 4 MiB at most
_PAGE = 500
_KNOWN_SECONDS = 300.0  # another replica may have written, too


@dataclass(slots=True)
class _Balance:
    """Of one tenant: what was there when it was last looked, let in since, and under way."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    looked_at: float = float("-inf")
    found: Size = NOTHING
    let_in: Size = NOTHING
    under_way: Size = NOTHING


class UsageService:
    """Built once."""

    def __init__(self, catalogue: Catalogue, engines: Mapping[EngineName, VectorEngine], quotas: Quotas) -> None:
        self._catalogue = catalogue
        self._engines = engines
        self.quotas = quotas
        self._known: TTLCache[str, Size] = TTLCache(maxsize=10_000, ttl=_KNOWN_SECONDS)
        self._changes: LRUCache[str, int] = LRUCache(maxsize=10_000)
        self._balances: LRUCache[str, _Balance] = LRUCache(maxsize=10_000)

    async def get(self, caller: Caller) -> Usage:
        """Records are counted; bytes are estimated by a hundred records of each collection."""
        return await self._look(caller.tenant_id)

    @asynccontextmanager
    async def room(self, collection: Collection, more: Callable[[], Size]) -> AsyncIterator[None]:
        """While `more` is stored in the collection. Raises QuotaExceeded when it would not fit, were all of it new."""
        size, balance = NOTHING, self._balances.setdefault(collection.tenant_id, _Balance())
        if self.quotas.records or self.quotas.bytes:
            size = await asyncio.to_thread(more)
            await self._let_in(collection.tenant_id, balance, size)
        try:
            yield
        finally:
            balance.under_way -= size
            self.changed(collection)

    def changed(self, collection: Collection) -> None:
        """Something in the collection was stored, changed or deleted."""
        self._known.pop(collection.id, None)
        self._changes[collection.id] = self._changes.get(collection.id, 0) + 1

    async def _let_in(self, tenant_id: str, balance: _Balance, size: Size) -> None:
        async with balance.turn:
            is_recent = time.monotonic() - balance.looked_at < _KNOWN_SECONDS
            if not is_recent or self._exceeded(balance.found + balance.let_in + size):
                # What is under way may be found as well: rather twice than not.
                under_way, looked_at = balance.under_way, time.monotonic()
                balance.found, balance.let_in = (await self._look(tenant_id)).size, under_way
                balance.looked_at = looked_at
            if exceeded := self._exceeded(balance.found + balance.let_in + size):
                raise exceeded
            balance.let_in += size
            balance.under_way += size

    def _exceeded(self, size: Size) -> QuotaExceeded | None:
        if 0 < self.quotas.records < size.records:
            return QuotaExceeded("records", self.quotas.records)
        if 0 < self.quotas.bytes < size.bytes:
            return QuotaExceeded("bytes", self.quotas.bytes)
        return None

    async def _look(self, tenant_id: str) -> Usage:
        collections = await self._collections_of(tenant_id)
        turns = asyncio.Semaphore(_LOOKED_AT_ONCE)

        async def looked(collection: Collection) -> Size | None:
            async with turns:
                return await self._size_of(collection)

        sizes = await asyncio.gather(*map(looked, collections))
        return Usage(len(collections), sum((one for one in sizes if one), NOTHING), sizes.count(None))

    async def _collections_of(self, tenant_id: str) -> list[Collection]:
        found: list[Collection] = []
        while page := await self._catalogue.list_page(tenant_id, after=found[-1].name if found else None, limit=_PAGE):
            found += page
        return found

    async def _size_of(self, collection: Collection) -> Size | None:
        """None when its engine does not answer, or does not have it."""
        if (known := self._known.get(collection.id)) is not None:
            return known
        if collection.status not in (CollectionStatus.READY, CollectionStatus.FILLING):
            return NOTHING
        engine, changes = self._engines[collection.engine], self._changes.get(collection.id)
        try:
            count = await engine.count(collection)
            sample = await _some(engine, collection) if count else []
        except (CollectionMissing, Unavailable, UpstreamTimeout):
            return None
        size = estimated(count, collection.dimension, sample)
        if self._changes.get(collection.id) == changes:
            self._known[collection.id] = size
        return size


async def _some(engine: VectorEngine, collection: Collection) -> list[Record]:
    try:
        return await engine.page(collection, None, _SAMPLE, None, with_vectors=False)
    except AnswerTooLarge:
        return await engine.page(collection, None, _FEW, None, with_vectors=False)
