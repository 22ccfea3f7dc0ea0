"""Brings records of the target of a copy to the state that they have in its source."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from services.vectors.copies.errors import CopyTextMissing
from services.vectors.domain import Collection, Record
from services.vectors.errors import AnswerTooLarge, TooMuchText
from services.vectors.geometry import placed
from services.vectors.ports import Embedder, VectorEngine
from services.vectors.terms import Condition
from services.vectors.usage.domain import Size, content_bytes, size_of
from services.vectors.usage.service import UsageService
from shared.identity import Caller

_FOUND_AT_ONCE: Final = 8
_SETTLED_AT_ONCE: Final = 64  # the largest are a few megabytes each
_PUT_BYTES: Final = 8 * 2**20  # of texts and metadata; an engine's own form of them may have three times that


@dataclass(frozen=True, slots=True)
class Place:
    """A collection and the engine that keeps it."""

    engine: VectorEngine
    collection: Collection

    async def find(self, ids: Sequence[str]) -> dict[str, Record]:
        """Those of `ids` that are there, as they are."""
        turns = asyncio.Semaphore(_FOUND_AT_ONCE)

        async def find(record_id: str) -> Record | None:
            async with turns:
                return await self.engine.find(self.collection, record_id)

        found = await asyncio.gather(*map(find, ids))
        return {record.id: record for record in found if record is not None}

    async def page(
        self, after: str | None, limit: int, condition: Condition | None = None, *, with_vectors: bool = False
    ) -> tuple[list[Record], bool]:
        """Records that follow `after`, of large ones fewer than `limit`; and whether more may follow."""
        while True:
            try:
                found = await self.engine.page(self.collection, after, limit, condition, with_vectors=with_vectors)
            except AnswerTooLarge:
                if limit == 1:
                    raise
                limit //= 2
            else:
                return found, len(found) == limit


@dataclass(slots=True)
class Transfer:
    """For one step, by whoever has the turn."""

    source: Place
    target: Place
    embedder: Embedder | None
    """What makes vectors of texts anew; None where they are copied."""
    usage: UsageService
    caller: Caller
    is_writing: bool = field(default=False, init=False)
    """Whether it was broken off while the target was written to: then some of that may still arrive."""

    async def settle(self, ids: Sequence[str]) -> None:
        """What the source has of `ids` the target has as well, as it is there now; what it has not is deleted.

        Some at a time. Raises CopyTextMissing, QuotaExceeded, and what engines and models do.
        """
        for start in range(0, len(ids), _SETTLED_AT_ONCE):
            some = ids[start : start + _SETTLED_AT_ONCE]
            there = await self.source.find(some)
            await self.put(list(there.values()))
            if gone := [one for one in some if one not in there]:
                self.is_writing = True
                await self.target.engine.delete(self.target.collection, gone)
                self.is_writing = False

    async def put(self, records: Sequence[Record]) -> None:
        """So many at once as engines, and what leads to them, surely take. Raises as `settle`."""
        if not records:
            return
        if len(records) > 1 and await asyncio.to_thread(_contents, records) > _PUT_BYTES:
            middle = len(records) // 2
            await self.put(records[:middle])
            await self.put(records[middle:])
            return
        made = await self._made(records)
        async with self.usage.room(self.target.collection, lambda: self._size(made)):
            self.is_writing = True
            await self.target.engine.upsert(self.target.collection, made)
            self.is_writing = False

    def _size(self, records: Sequence[Record]) -> Size:
        return size_of(len(records), self.target.collection.dimension, _contents(records))

    async def _made(self, records: Sequence[Record]) -> Sequence[Record]:
        """As the target keeps them."""
        if self.embedder is None:
            return records
        for record in records:
            if record.text is None:
                raise CopyTextMissing(self.source.collection.name, record.id)
        try:
            vectors = await self.embedder.embed_passages([record.text or "" for record in records], self.caller)
        except TooMuchText:
            if len(records) == 1:
                raise
            middle = len(records) // 2
            return [*await self._made(records[:middle]), *await self._made(records[middle:])]
        metric = self.target.collection.metric
        return [
            Record(record.id, placed(vector, metric, "/model"), record.text, record.metadata)
            for record, vector in zip(records, vectors, strict=True)
        ]


def _contents(records: Sequence[Record]) -> int:
    return sum(content_bytes(record.text, record.metadata) for record in records)
