"""Fills a collection and has it get a graph, and is killed at a point of its being kept."""

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from unittest import mock

from services.vectors.adapters import faiss_kept
from services.vectors.adapters.faiss_collection import FaissCollection
from services.vectors.records.filters import parse
from tests.contracts.vectors.conftest import a_collection
from tests.contracts.vectors.graphs import COUNT, engines, filled, graphed, records
from tests.contracts.vectors.language import leaf

POINTS: Final = ("half of it is written", "it has no name yet", "it has its name", "others were written since")


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def half(links: Any, writer: Any) -> None:
    """Some of the links are in the file, where its system has them."""
    parts = itertools.count()
    taken = faiss_kept.faiss.PyCallbackIOWriter(lambda part: die() if next(parts) else len(part), 4096)
    writer(links, taken)


async def main(folder: Path, collection_id: str, point: str) -> None:
    collection = replace(a_collection(16), id=collection_id)
    write, settle = faiss_kept.faiss.write_index, FaissCollection.settle_graph
    patches: dict[str, tuple[object, str, Callable[..., None]]] = {
        POINTS[0]: (faiss_kept.faiss, "write_index", lambda links, _: half(links, write)),
        POINTS[1]: (FaissCollection, "settle_graph", die),
        POINTS[2]: (FaissCollection, "settle_graph", lambda *given, **named: die(settle(*given, **named))),
    }
    async with engines(folder) as open_one:
        engine = open_one()
        await filled(engine, of=collection)
        with mock.patch.object(*patches.get(point, (FaissCollection, "settle_graph", settle))):
            await graphed(engine, collection)
        await engine.upsert(collection, records(range(COUNT, COUNT + 200)))
        await engine.delete_matching(collection, parse(leaf("hundredth", "lt", 10)))
        die()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
