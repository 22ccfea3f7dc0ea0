"""How much memory many small tenants take: `python -m bench.tenants --tenants 10000`.

A collection for each tenant, on each engine that keeps collections in memory; then each is searched once, in no order,
as tenants come. Told are the megabytes of the process, with Edge's, at every stage, and how long a search takes whose
collection has to be loaded first.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil

from services.vectors.adapters.faiss import FaissEngine
from services.vectors.adapters.qdrant_edge import QdrantEdgeEngine
from services.vectors.domain import Collection, EngineName, Metric, Record
from shared.schemas import new_id

_DIMENSION = 384
_AT_ONCE = 8
_MIB = 2**20
_IDLE_SECONDS = 1.0
Engine = FaissEngine | QdrantEdgeEngine


def rss_mib() -> float:
    """Of this process and its children."""
    own = psutil.Process()
    return sum(one.memory_info().rss for one in [own, *own.children(recursive=True)]) / _MIB


class Watch:
    """The most memory there was while it looked."""

    def __init__(self) -> None:
        self.peak = 0.0

    async def look(self) -> None:
        while True:
            self.peak = max(self.peak, rss_mib())
            await asyncio.sleep(0.05)


def _collection(engine: EngineName) -> Collection:
    return Collection(new_id(), new_id(), "notes", engine, _DIMENSION, Metric.COSINE, datetime.now(UTC))


def _vectors(number: int, seed: int) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((number, _DIMENSION)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


async def _in_turns(collections: Sequence[Collection], work: object) -> list[float]:
    """The seconds of each, several at once."""
    gate, taken = asyncio.Semaphore(_AT_ONCE), list[float]()

    async def one(collection: Collection) -> None:
        async with gate:
            began = time.perf_counter()
            await work(collection)  # type: ignore[operator]
            taken.append(time.perf_counter() - began)

    await asyncio.gather(*map(one, collections))
    return taken


async def measure(engine: Engine, tenants: int, records: int) -> None:
    """Prints a line for each stage."""
    collections = [_collection(engine.name) for _ in range(tenants)]
    query = _vectors(1, seed=0)[0]

    async def fill(collection: Collection) -> None:
        vectors = _vectors(records, seed=1)
        await engine.create_collection(collection)
        await engine.upsert(collection, [Record(f"{at}", vector, f"note {at}") for at, vector in enumerate(vectors)])

    async def search(collection: Collection) -> None:
        assert len(await engine.search(collection, query, 10, None)) == min(10, records)

    watch = Watch()
    looking = asyncio.create_task(watch.look())
    print(f"{engine.name}: {tenants:,} collections of {records} vectors of {_DIMENSION}; {rss_mib():.0f} MiB before")
    await _in_turns(collections, fill)
    print(f"  filled            {rss_mib():6.0f} MiB")
    for label in ("each searched", "and once more"):
        taken = await _in_turns(random.sample(collections, tenants), search)
        cuts = statistics.quantiles(taken, n=100)
        print(f"  {label}     {rss_mib():6.0f} MiB   a search {cuts[49] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms")
    taken = await _in_turns([collections[0]] * 200, search)
    print(f"  one in memory                  a search {statistics.median(taken) * 1e3:.1f} ms")
    await asyncio.sleep(_IDLE_SECONDS)
    await engine.close_idle()
    print(f"  all unloaded      {rss_mib():6.0f} MiB   the most there was: {watch.peak:.0f} MiB", flush=True)
    looking.cancel()
    await engine.aclose()


async def _all(tenants: int, records: int, only: str | None, folder: Path) -> None:
    for name in ("faiss", "edge"):
        if only in (None, name):
            engine: Engine = (
                FaissEngine(folder / name, threads=2, max_bytes=2**30, idle_seconds=_IDLE_SECONDS)
                if name == "faiss"
                else QdrantEdgeEngine(folder / name, 60, idle_seconds=_IDLE_SECONDS)
            )
            await measure(engine, tenants, records)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.tenants", description=__doc__)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--records", type=int, default=100)
    parser.add_argument("--only", choices=["faiss", "edge"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_all(arguments.tenants, arguments.records, arguments.only, Path(folder)))


if __name__ == "__main__":
    main()
