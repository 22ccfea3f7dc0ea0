"""M1: how much memory many small collections take, and how long a search takes whose collection has to be loaded."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

import aiohttp
import numpy as np
import psutil

from bench import accounts
from bench.row import Figure, Load, Rounds, Row, Runs
from bench.servers import cpu_seconds, rss_mib
from bench.stage import Stage

ENGINES = {"FAISS": "faiss", "Edge": "qdrant"}
PEOPLE, DIMENSION, RECORDS = 100, 384, 20
CALLERS, FIRST_SEARCHES = 16, 500
FILL_SECONDS, _ANSWER_SECONDS = 190, 60
MOST_MIB = 4096
_LOOK_SECONDS = 2.0
_SEED = 20261126
_BYTES = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Shelf:
    """One collection, of whom the key belongs to."""

    name: str
    engine: str
    key: str


def tenants(stage: Stage, rounds: Rounds, seconds: int) -> Row:  # noqa: ARG001 - it is done once, until it is done
    """Collections of many people, filled by several callers at once, then searched in no order, one at a time.

    At most 64 of an engine are in memory, so a search of any other begins with loading it. Filling stops when its time
    is over; the figures say how many there are.
    """
    people = [f"tenant-{number}@example.com" for number in range(PEOPLE)]
    accounts.register(stage.auth.url, people)
    tokens = accounts.log_in(stage.auth.url, people)
    keys = accounts.create_keys(stage.auth.url, tokens, ("vectors:read", "vectors:write"))
    runs, figures = Runs(), list[Figure]()
    for label, engine in ENGINES.items():
        shelves = [Shelf(f"shelf-{at}-{engine}", engine, keys[at % PEOPLE]) for at in range(stage.tenants)]
        found, told = asyncio.run(_measured(stage, label, shelves))
        runs |= found
        figures += told
    work = f"{stage.tenants:,} collections of {PEOPLE} people, {RECORDS} vectors of {DIMENSION} in each"
    return Row("M1", work, runs, figures)


async def _measured(stage: Stage, label: str, shelves: Sequence[Shelf]) -> tuple[Runs, list[Figure]]:
    before, seen, filled = _own_mib(stage), list[float](), list[Shelf]()
    looking = asyncio.create_task(_look(stage, seen))
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with aiohttp.ClientSession(stage.vectors.url, timeout=timeout) as session:

        async def fill(shelf: Shelf) -> None:
            await _fill(session, shelf)
            filled.append(shelf)

        await _fill(
            session, Shelf(f"first-{shelves[0].name}", shelves[0].engine, shelves[0].key)
        )  # Edge starts with it

        async def search(shelf: Shelf) -> None:
            await _search(session, shelf)

        all_of_them = await _timed(stage, fill, shelves, CALLERS, FILL_SECONDS)
        sample = random.Random(_SEED).sample(filled, min(FIRST_SEARCHES, len(filled)))
        first = await _timed(stage, search, sample, 1)
        again = await _timed(stage, search, [sample[-1]] * FIRST_SEARCHES, 1)
    looking.cancel()
    seen.append(_own_mib(stage))
    runs = {f"{label}, filled": [all_of_them], f"{label}, first search": [first], f"{label}, the same again": [again]}
    return runs, [
        Figure(f"{label}: collections", [len(filled)], at_least=stage.tenants),
        Figure(f"{label}: MiB of its own before", [before]),
        Figure(f"{label}: MiB of its own, the most", [max(seen)], at_most=MOST_MIB),
        Figure(f"{label}: first search, p50 in ms", [first.p50_us / 1000]),
        Figure(f"{label}: first search, p99 in ms", [first.p99_us / 1000]),
    ]


async def _timed(
    stage: Stage,
    work: Callable[[Shelf], Awaitable[None]],
    shelves: Iterable[Shelf],
    callers: int,
    seconds: float = float("inf"),
) -> Load:
    """Each in turn by so many callers, until the time is over."""
    left, taken = iter(shelves), list[float]()
    servers = _processes(stage)
    began, own, spent = time.perf_counter(), time.process_time(), cpu_seconds(servers)

    async def caller() -> None:
        for shelf in left:
            asked = time.perf_counter()
            if asked > began + seconds:
                return
            await work(shelf)
            taken.append(time.perf_counter() - asked)

    await asyncio.gather(*(caller() for _ in range(callers)))
    elapsed, cuts = time.perf_counter() - began, quantiles(taken, n=100)
    cpu = (cpu_seconds(servers) - spent) * 1e6 / len(taken)
    client = (time.process_time() - own) / elapsed
    return Load(len(taken) / elapsed, cuts[49] * 1e6, cuts[98] * 1e6, client, cpu, rss_mib(_processes(stage)))


async def _fill(session: aiohttp.ClientSession, shelf: Shelf) -> None:
    wanted = {"name": shelf.name, "engine": shelf.engine, "dimension": DIMENSION, "metric": "cosine"}
    await _post(session, shelf, "collections", json=wanted)
    items = [{"id": str(at), "text": f"note {at}", "metadata": {"shelf": shelf.name}} for at in range(RECORDS)]
    header = json.dumps({"collection": shelf.name, "items": items}).encode()
    body = len(header).to_bytes(8, "little") + header + _VECTORS.tobytes()
    await _post(session, shelf, "store", data=body, headers=_BYTES)


async def _search(session: aiohttp.ClientSession, shelf: Shelf) -> None:
    asked = {"collection": shelf.name, "k": RECORDS // 2, "vector": _VECTORS[0].tolist()}
    await _post(session, shelf, "search", json=asked)


async def _post(session: aiohttp.ClientSession, shelf: Shelf, path: str, **sent: Any) -> None:
    headers = {"X-API-Key": shelf.key} | sent.pop("headers", {})
    async with session.post(f"/api/v1/vectors/{path}", headers=headers, **sent) as answer:
        answer.raise_for_status()
        await answer.read()


async def _look(stage: Stage, seen: list[float]) -> None:
    while True:
        seen.append(_own_mib(stage))
        await asyncio.sleep(_LOOK_SECONDS)


def _processes(stage: Stage) -> list[psutil.Process]:
    """The service, and Edge's."""
    return [stage.vectors.process, *stage.vectors.process.children(recursive=True)]


def _own_mib(stage: Stage) -> float:
    """Without mapped files: a shard of Edge that was loaded maps 32 MiB of log, whose pages the kernel takes back."""
    memory = [process.memory_info() for process in _processes(stage)]
    return float(sum(one.rss - one.shared for one in memory)) / 2**20


_VECTORS = np.random.default_rng(_SEED).standard_normal((RECORDS, DIMENSION)).astype("<f4")
