"""FAISS as an engine: search in memory, records in a file, both in this process, which is their one writer."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from services.vectors.adapters import faiss_records
from services.vectors.adapters.faiss_building import Builder
from services.vectors.adapters.faiss_collection import FaissCollection, Nearest
from services.vectors.adapters.fullness import absent
from services.vectors.adapters.gathering import Gathering
from services.vectors.adapters.in_memory import Collections, Opening
from services.vectors.adapters.probing import reserved
from services.vectors.domain import (
    ALL_MODES,
    MAX_BATCH,
    Capabilities,
    Collection,
    EngineName,
    Match,
    MetadataChanges,
    Record,
    Vector,
)
from services.vectors.terms import Condition
from shared.errors import Unavailable
from shared.limits import TENANT_SHARE, Turns

_OPEN_COLLECTIONS = 64  # each has three files
_WAITING = 1024  # calls; more would only wait for their timeouts
DEFAULT_MEMORY_BYTES: Final = 2 * 2**30

GRAPH_FROM: Final = 10_000
"""Up to so many all are compared: measured in docs/decisions/0057."""

CAPABILITIES: Final = Capabilities(
    backend="FAISS, in this process",
    modes=ALL_MODES,
    exact=False,
    exact_on_request=True,
    exact_up_to=GRAPH_FROM,
)

Result = TypeVar("Result")


class FaissEngine:
    """VectorEngine over FAISS."""

    name = EngineName.FAISS
    at_once = MAX_BATCH  # which it searches together

    def __init__(
        self,
        root: Path,
        *,
        threads: int,
        max_bytes: int,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        idle_seconds: float = 0.0,
        graph_from: int = GRAPH_FROM,
    ) -> None:
        """`max_bytes` are of one collection, `memory_bytes` of all that are in memory at once.

        They leave it after `idle_seconds` without use; at 0 only for others. What holds more than `graph_from` records
        gets a graph where it is searched.
        """
        self._root = root
        self._max_bytes = max_bytes
        self._graph_from = graph_from
        self._calls = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="faiss")
        # One more has its turn than there are threads: it is begun without a round of the event loop.
        self._turns = Turns(threads + 1, waiting=_WAITING, per_source=_WAITING // TENANT_SHARE)
        self._collections: Collections[FaissCollection] = Collections(
            most=_OPEN_COLLECTIONS,
            most_bytes=memory_bytes,
            idle_seconds=idle_seconds,
            close=lambda opened: self._run_now(opened.close),
            loads=Turns(threads, waiting=_WAITING, per_source=_WAITING // TENANT_SHARE),
            refusal=lambda: Unavailable(self.name.component),
        )
        self._graphs = Builder(self._collections.looking, self._collections.room_for)
        # Held by who waits for them, and by nobody else.
        self._searches: WeakValueDictionary[str, Gathering[Nearest, list[Match]]] = WeakValueDictionary()

    async def create_collection(self, collection: Collection) -> None:
        about = {
            "tenant_id": collection.tenant_id,
            "name": collection.name,
            "dimension": str(collection.dimension),
            "metric": collection.metric.value,
            "created_at": collection.created_at.isoformat(),
        }
        async with self._collections.without(collection.id):
            await self._run(collection.tenant_id, lambda: faiss_records.create(self._path(collection), about))

    async def drop_collection(self, collection: Collection) -> None:
        async with self._collections.without(collection.id):
            await self._run(collection.tenant_id, lambda: faiss_records.drop(self._path(collection)))

    async def holds(self, collection: Collection) -> bool:
        return await self._run(collection.tenant_id, self._path(collection).exists)

    async def upsert(self, collection: Collection, records: Sequence[Record]) -> None:
        async with self._writing(collection) as opened:
            await self._run(collection.tenant_id, lambda: opened.upsert(records))

    async def insert(self, collection: Collection, records: Sequence[Record]) -> list[str]:
        async with self._writing(collection) as opened:
            return await self._run(collection.tenant_id, lambda: opened.insert(records))

    async def search(
        self,
        collection: Collection,
        vector: Vector,
        limit: int,
        condition: Condition | None,
        *,
        exact: bool = False,
    ) -> list[Match]:
        asked = Nearest(vector, limit, exact)
        if condition is None:
            return await self._gathered(collection, asked)
        async with self._reading(collection) as opened:
            found = await self._run(collection.tenant_id, lambda: opened.search_among(asked, condition))
            self._see_to_graph(collection, opened)
            return found

    async def _gathered(self, collection: Collection, asked: Nearest) -> list[Match]:
        """With whatever else is asked of the collection meanwhile."""
        searches = self._searches.get(collection.id)
        if searches is None:
            searches = self._searches[collection.id] = Gathering(
                partial(self._search, collection), most=lambda: self._most_together(collection), calls=self._calls
            )
        if len(searches) >= _WAITING:
            raise Unavailable(self.name.component)
        return await searches.answer(asked)

    def _most_together(self, collection: Collection) -> int:
        opened = self._collections.opened(collection.id)
        return opened.index.most_together if opened else 1

    async def _search(self, collection: Collection, asked: Sequence[Nearest]) -> list[list[Match]]:
        async with self._reading(collection) as opened:
            found = await self._run(collection.tenant_id, lambda: opened.search(asked))
            self._see_to_graph(collection, opened)
            return found

    def _see_to_graph(self, collection: Collection, opened: FaissCollection) -> None:
        if opened.index.wants_graph:
            self._graphs.begin(collection.id)

    async def search_words(
        self, collection: Collection, tokens: Sequence[int], limit: int, condition: Condition | None
    ) -> list[Match]:
        async with self._reading(collection) as opened:
            return await self._run(collection.tenant_id, lambda: opened.search_words(tokens, limit, condition))

    async def find(self, collection: Collection, record_id: str) -> Record | None:
        async with self._reading(collection) as opened:
            return await self._run(collection.tenant_id, lambda: opened.records.find(record_id))

    async def page(
        self,
        collection: Collection,
        after: str | None,
        limit: int,
        condition: Condition | None,
        *,
        with_vectors: bool,
    ) -> list[Record]:
        async with self._reading(collection) as opened:
            return await self._run(
                collection.tenant_id,
                lambda: opened.records.page(after, limit, condition, with_vectors=with_vectors),
            )

    async def merge_metadata(self, collection: Collection, record_id: str, changes: MetadataChanges) -> Record | None:
        async with self._writing(collection) as opened:
            return await self._run(collection.tenant_id, lambda: opened.merge_metadata(record_id, changes))

    async def delete(self, collection: Collection, ids: Sequence[str]) -> int:
        async with self._writing(collection) as opened:
            return await self._run(
                collection.tenant_id, lambda: opened.delete(list(opened.records.slots_of(ids).values()))
            )

    async def delete_matching(self, collection: Collection, condition: Condition) -> int:
        async with self._writing(collection) as opened:
            return await self._run(
                collection.tenant_id, lambda: opened.delete(opened.records.select(condition).tolist())
            )

    async def count(self, collection: Collection, condition: Condition | None = None) -> int:
        async with self._reading(collection) as opened:
            return await self._run(collection.tenant_id, lambda: opened.records.count(condition))

    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    async def check(self) -> None:
        """Only its file: the index of the reserved point would have FAISS imported for those who do not use it."""
        await self._run_now(lambda: faiss_records.write_and_read_back(self._path(reserved(self.name))))

    async def close_idle(self) -> None:
        """What nobody has used for a while leaves memory."""
        await self._collections.close_idle()

    async def aclose(self) -> None:
        await self._graphs.aclose()
        await self._collections.aclose()
        await asyncio.to_thread(self._threads.shutdown)

    def _path(self, collection: Collection) -> Path:
        return self._root / f"{collection.id}.db"

    def _reading(self, collection: Collection) -> AbstractAsyncContextManager[FaissCollection]:
        return self._collections.reading(self._opening(collection))

    def _writing(self, collection: Collection) -> AbstractAsyncContextManager[FaissCollection]:
        return self._collections.writing(self._opening(collection))

    def _opening(self, collection: Collection) -> Opening[FaissCollection]:
        path, tenant_id = self._path(collection), collection.tenant_id
        return Opening(
            collection.id,
            tenant_id,
            lambda: self._run(tenant_id, lambda: 4 * collection.dimension * faiss_records.slots(path)),
            lambda: self._run(tenant_id, lambda: FaissCollection(path, collection, self._max_bytes, self._graph_from)),
        )

    async def _run(self, tenant_id: str, work: Callable[[], Result]) -> Result:
        """`work` on a worker thread, in turns of the tenants. Raises Unavailable when too many wait."""
        async with self._turns.turn(tenant_id, lambda: Unavailable(self.name.component)):
            return await self._run_now(work)

    async def _run_now(self, work: Callable[[], Result]) -> Result:
        """It has ended when this returns, even when cancelled: the locks depend on it."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise
        except (sqlite3.OperationalError, OSError, MemoryError) as error:
            raise absent(self.name.component, error) from error
