"""Makes graphs beside everything else: one at a time, on a thread of its own, of some vectors after the others.

One that is made is kept in a file, and what comes back into memory takes it from there if it still finds enough.
"""

import asyncio
import contextvars
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from services.vectors.adapters.faiss_collection import FaissCollection
from shared.ending import end

if TYPE_CHECKING:  # or FAISS would be imported for those who do not use it
    from services.vectors.adapters.faiss_graph import Graph, Trial
    from services.vectors.adapters.faiss_kept import Kept
    from services.vectors.adapters.faiss_records import Slots

Look = Callable[[str], AbstractAsyncContextManager[FaissCollection | None]]
"""At what is in memory of a collection; nobody writes to it meanwhile."""
RoomFor = Callable[[str, int], Awaitable[bool]]

_AT_ONCE: Final = 128  # some ten milliseconds, for whose end a shutdown waits
_RECOGNISED_AT_ONCE: Final = 2048  # the same, for which writers wait
_TRIALS: Final = 50  # exact searches
_FEWEST_TRIALS: Final = 20  # that tell anything
_ENOUGH: Final = 0.96
_TOO_LITTLE: Final = 0.95  # with most effort: it does not serve
Result = TypeVar("Result")
_log = logging.getLogger("vectors.faiss")


class Builder:
    """Nobody waits for it. A graph is given up when its collection leaves memory."""

    def __init__(self, look: Look, room_for: RoomFor) -> None:
        self._look, self._room_for = look, room_for
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="faiss-graph")
        self._turn = asyncio.Semaphore()
        self._building: dict[str, asyncio.Task[None]] = {}
        self._is_closed = False

    def begin(self, key: str) -> None:
        """Unless it has begun, or everything ends."""
        if key not in self._building and not self._is_closed:
            task = asyncio.get_running_loop().create_task(self._build(key), context=contextvars.Context())
            self._building[key] = task
            task.add_done_callback(lambda _: self._building.pop(key))

    async def aclose(self) -> None:
        """What is being made is given up, and nothing begins any more."""
        self._is_closed = True
        await end(*self._building.values())
        await asyncio.to_thread(self._thread.shutdown)

    async def _build(self, key: str) -> None:
        fields: dict[str, object] = {"collection": key}
        began = time.monotonic()
        try:
            taken = await self._taken_back(key)
            async with self._turn if taken is None else nullcontext():
                vectors = await self._made(key) if taken is None else taken
            if vectors:
                seconds = round(time.monotonic() - began, 1)
                fields |= {"vectors": vectors, "was_kept": taken is not None, "seconds": seconds}
                _log.info("a graph is there", extra={"fields": fields})
        except MemoryError:
            _log.warning("no memory for a graph: all are compared", extra={"fields": fields})
        except Exception:  # noqa: BLE001 - whatever it is, searches go on without
            _log.exception("no graph was made: all are compared", extra={"fields": fields})

    async def _made(self, key: str) -> int:
        """How many vectors it has; 0 when it was given up."""
        async with self._look(key) as opened:
            begun = await self._on_thread(opened.index.begin_graph) if opened else None
        if opened is None or begun is None:
            return 0
        graph, slots = begun
        try:
            if not await self._room_for(key, len(slots) * graph.bytes_each):
                return 0
            graph.planned = graph.size + len(slots)  # before anything is waited for, or two would take the same room
            await self._on_thread(graph.take_over)
            kept_back = len(slots) - min(_TRIALS, len(slots) // 2)
            for start in range(0, kept_back, _AT_ONCE):
                if not await self._added(key, opened, graph, slots[start : min(start + _AT_ONCE, kept_back)]):
                    return 0
            if not await self._finds_enough(key, opened, graph, slots[kept_back:]):
                return 0
            if not await self._added(key, opened, graph, slots[kept_back:]):
                return 0
            if not await self._finished(key, opened, graph):
                return 0
        finally:
            opened.index.growth.give_up(graph)
        if graph.is_to_be_kept:
            await self._keep(key, opened, graph)
        return graph.size

    async def _finished(self, key: str, opened: FaissCollection, graph: "Graph") -> bool:
        """Whether it serves from now on."""
        async with self._look(key):
            return opened.index.growth.finish(graph)

    async def _added(self, key: str, opened: FaissCollection, graph: "Graph", slots: "Slots") -> bool:
        """False when it is not wanted any more."""
        async with self._look(key) as now:
            if now is not opened or not opened.index.growth.is_coming(graph):
                return False
            vectors = await self._on_thread(partial(opened.index.take, graph, slots))
        await self._on_thread(partial(graph.add, vectors))
        return True

    async def _finds_enough(self, key: str, opened: FaissCollection, graph: "Graph", slots: "Slots") -> bool:
        """It is searched with as little effort as finds enough of what is nearest to `slots`, which it does not know.

        What that is depends on the vectors. What it knows is found more easily than what is asked. Where there are few
        the effort stays what it was. False when it is refused, or not wanted any more.
        """
        trials = await self._trials(key, opened, graph, slots)
        if trials is None:
            return False
        if len(trials) < _FEWEST_TRIALS:
            return True
        found = 0.0
        for effort in graph.efforts:
            graph.effort = effort
            if (found := await self._on_thread(partial(graph.recall, trials))) >= _ENOUGH:
                return True
        if found >= _TOO_LITTLE:
            return True
        async with self._look(key):
            opened.index.growth.refuse(graph, len(opened.index))
        fields = {"collection": key, "found": round(found, 2)}
        _log.warning("a graph finds too little: all are compared", extra={"fields": fields})
        return False

    async def _trials(self, key: str, opened: FaissCollection, graph: "Graph", slots: "Slots") -> "list[Trial] | None":
        """None when it is not wanted any more."""
        trials = []
        for slot in slots.tolist():
            async with self._look(key) as now:
                if now is not opened or not opened.index.growth.is_coming(graph):
                    return None
                if trial := await self._on_thread(partial(opened.index.trial, graph, slot)):
                    trials.append(trial)
        return trials

    # --- The one that is kept -----------------------------------------------------------------------------------------

    async def _keep(self, key: str, opened: FaissCollection, graph: "Graph") -> None:
        """In the place of the one before; where that fails, the next one may be."""
        try:
            await self._on_thread(partial(graph.write, opened.graph_file))
            async with self._look(key) as now:  # what was dropped meanwhile has no file any more
                await self._on_thread(partial(opened.settle_graph, is_there=now is opened))
            graph.kept = graph.size
        except OSError as error:
            fields = {"collection": key, "cause": repr(error)}
            _log.warning("a graph is not kept: it is made anew after a restart", extra={"fields": fields})

    async def _taken_back(self, key: str) -> int | None:
        """How many vectors the graph has that was kept, and serves again; 0 where it does not, None to make one."""
        async with self._look(key) as opened:
            if opened is None or opened.index.growth.serves:
                return None
            is_expected = opened.index.growth.look()
        if (kept := await self._on_thread(opened.kept_graph)) is None:
            return 0 if is_expected else None
        async with self._look(key) as now:
            begun = await self._on_thread(opened.index.begin_graph) if now is opened else None
        if begun is None:
            return 0
        graph, slots = begun
        try:
            if not await self._room_for(key, len(kept.slots) * graph.bytes_each):
                return 0
            graph.planned = len(kept.slots)  # before anything is waited for, or two would take the same room
            await self._on_thread(partial(graph.restore, kept))
            if not await self._recognised(key, opened, graph, kept, slots):
                return 0
            if not await self._still_finds_enough(key, opened, graph, slots):
                return 0
            return graph.size if await self._finished(key, opened, graph) else 0
        finally:
            opened.index.growth.give_up(graph)

    async def _recognised(
        self, key: str, opened: FaissCollection, graph: "Graph", kept: "Kept", slots: "Slots"
    ) -> bool:
        """False when it is not wanted any more."""
        for start in range(0, len(slots), _RECOGNISED_AT_ONCE):
            async with self._look(key) as now:
                if now is not opened or not opened.index.growth.is_coming(graph):
                    return False
                some = slots[start : start + _RECOGNISED_AT_ONCE]
                await self._on_thread(partial(opened.index.recognise, graph, kept, some))
        return True

    async def _still_finds_enough(self, key: str, opened: FaissCollection, graph: "Graph", slots: "Slots") -> bool:
        """With the effort that it had; else its file is of no use. False also when it is not wanted any more."""
        if not opened.index.growth.leads_to_little(graph):
            trials = await self._trials(key, opened, graph, slots[:_FEWEST_TRIALS])
            if trials is None:
                return False
            if trials and await self._on_thread(partial(graph.recall, trials)) >= _TOO_LITTLE:
                return True
        _log.info("a kept graph finds too little", extra={"fields": {"collection": key}})
        opened.index.growth.withdraw(graph)
        await self._on_thread(opened.forget_graph)
        return False

    async def _on_thread(self, work: Callable[[], Result]) -> Result:
        """It has ended when this returns, even when cancelled: the locks depend on it."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise
