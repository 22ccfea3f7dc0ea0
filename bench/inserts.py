"""How many rows of a task's size PostgreSQL takes, each a transaction of its own, through a pool as services have one.

`python -m bench.inserts URL CALLERS SECONDS` prints how many were written and how long each took.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time

import uvloop
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from bench.row import Load
from bench.tasking import TEXT
from local.layout import REPOSITORY
from shared.postgres import Database

_TABLE = (
    "CREATE TABLE IF NOT EXISTS raw (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, input text, at timestamptz)"
)
_INSERT = text("INSERT INTO raw (input, at) VALUES (:input, now())")
_MOST_CONNECTIONS = 20


def run_inserts(url: str, *, callers: int, seconds: int) -> Load:
    """From a process of its own, which is all the client there is."""
    command = [sys.executable, "-m", "bench.inserts", url, str(callers), str(seconds)]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=seconds + 60)
    found = json.loads(ended.stdout)
    return Load(found["rate"], found["p50_us"], found["p99_us"], found["cpu_share"])


# --- The process ------------------------------------------------------------------------------------------------------


async def _insert(url: str, callers: int, seconds: float) -> list[float]:
    engine = create_async_engine(url, pool_size=min(callers, _MOST_CONNECTIONS), max_overflow=0)
    database, taken = Database(engine), list[float]()
    async with database.transaction() as session:
        await session.execute(text(_TABLE))
    until = time.perf_counter() + seconds

    async def caller() -> None:
        while (began := time.perf_counter()) < until:
            async with database.statements() as session:
                await session.execute(_INSERT, {"input": TEXT})
            taken.append(time.perf_counter() - began)

    await asyncio.gather(*(caller() for _ in range(callers)))
    await engine.dispose()
    return taken


def main() -> None:
    url, callers, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    cpu = time.process_time()
    taken = uvloop.run(_insert(url, callers, seconds))
    cuts = statistics.quantiles(taken, n=100)
    found = {"rate": len(taken) / seconds, "p50_us": cuts[49] * 1e6, "p99_us": cuts[98] * 1e6}
    print(json.dumps({**found, "cpu_share": (time.process_time() - cpu) / seconds}))


if __name__ == "__main__":
    main()
