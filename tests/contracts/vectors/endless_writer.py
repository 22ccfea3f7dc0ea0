"""Stores records one by one until it is killed, and prints each id once the engine has acknowledged it."""

import asyncio
import itertools
import sys
from dataclasses import replace
from pathlib import Path

from services.vectors.adapters.faiss import FaissEngine
from services.vectors.adapters.qdrant_edge import QdrantEdgeEngine
from services.vectors.ports import VectorEngine
from tests.contracts.vectors.conftest import COSINE, a_collection


async def main(kind: str, directory: Path, collection_id: str) -> None:
    engine: VectorEngine = (
        FaissEngine(directory, threads=1, max_bytes=2**26) if kind == "faiss" else QdrantEdgeEngine(directory, 30)
    )
    collection = replace(a_collection(), id=collection_id)
    for number in itertools.count():
        ids = [f"{number}-{at}" for at in range(3)]
        await engine.upsert(
            collection, [COSINE.record(one, 1, 1, 0, 0, text=f"text of {one}", written=True) for one in ids]
        )
        print(*ids, sep="\n", flush=True)  # noqa: T201 - its purpose


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
