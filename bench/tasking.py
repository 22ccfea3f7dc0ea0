"""A system of tasks as a row sees it: an API to submit to, workers, and a database in which what ended is found."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
import psutil

from bench.databases import Databases
from bench.load import Request
from bench.row import Load
from bench.servers import Server, cpu_seconds, machine_seconds

TEXT = "x" * 180
_DRAIN_SECONDS = 90
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Kept:
    """How what ended is found: each a statement that a person could type."""

    ended: str
    """How many have ended well."""
    waits: str
    """Seconds from submit to start of the `$1` that ended last."""
    ids: str
    """Of the `$1` that ended last, as the API has them."""


OURS = Kept(
    "SELECT count(*) FROM task WHERE status = 'succeeded'",
    "SELECT (result::json->>'started')::float8 - extract(epoch FROM created_at)::float8 FROM task "
    "WHERE status = 'succeeded' ORDER BY id DESC LIMIT $1",
    "SELECT id::text FROM task WHERE status = 'succeeded' ORDER BY id DESC LIMIT $1",
)


@dataclass(frozen=True, slots=True)
class TaskSystem:
    """One contender. `stores` are the processes of PostgreSQL and RabbitMQ, which work for whoever has its turn."""

    name: str
    api: Server
    request: Request
    status_path: str
    kept: Kept
    databases: Databases
    database: str
    stores: Sequence[psutil.Process]
    workers: list[psutil.Process] = field(default_factory=list)

    @property
    def processes(self) -> list[psutil.Process]:
        """All that work for it, each with those that it has started."""
        return [self.api.process, *self.workers, *self.stores]

    def count_ended(self) -> int:
        """None yet, where nothing has made the table in which they would be."""
        try:
            return int(self._asked(self.kept.ended)[0])
        except asyncpg.UndefinedTableError:
            return 0

    def waits(self, most: int) -> list[float]:
        """Seconds from submit to start, of those that ended last."""
        return self._asked(self.kept.waits, most)

    def reads(self, most: int) -> list[Request]:
        """Of the status of tasks that have ended."""
        root = self.api.url + self.status_path
        return [Request(f"{root}/{task_id}", self.request.headers) for task_id in self._asked(self.kept.ids, most)]

    def drained(self, count: int) -> None:
        """Returns once so many have ended. Raises RuntimeError when they do not."""

        async def ended(connection: asyncpg.Connection) -> None:
            while time.monotonic() < deadline:
                with contextlib.suppress(asyncpg.UndefinedTableError):
                    if await connection.fetchval(self.kept.ended) >= count:
                        return
                await asyncio.sleep(_LOOK_SECONDS)
            raise RuntimeError(f"{self.name}: some of its tasks do not end")

        deadline = time.monotonic() + _DRAIN_SECONDS
        self.databases.asked(self.database, ended)

    def _asked(self, statement: str, *values: int) -> list[Any]:
        async def first_column(connection: asyncpg.Connection) -> list[Any]:
            return [row[0] for row in await connection.fetch(statement, *values)]

        return self.databases.asked(self.database, first_column)


@dataclass(slots=True)
class Spent:
    """Processor time while a system had its turn."""

    theirs: float = 0.0
    machine: float = 0.0
    elapsed: float = 0.0

    def told(self, load: Load, count: int) -> Load:
        """`load` with what each of `count` tasks cost in all processes together, and what others used meanwhile."""
        client = load.client_cpu_share * (load.requests or count) / load.requests_per_second
        others = max(0.0, self.machine - self.theirs - client)
        share = others / self.elapsed / (psutil.cpu_count() or 1)
        return replace(load, cpu_us_per_request=self.theirs * 1e6 / count, others_cpu_share=share)


@contextmanager
def watched(system: TaskSystem) -> Iterator[Spent]:
    """What is spent through the block, told at its end."""
    spent = Spent()
    theirs, machine, began = _tree_seconds(system.processes), machine_seconds(), time.perf_counter()
    yield spent
    spent.elapsed = time.perf_counter() - began
    spent.theirs = _tree_seconds(system.processes) - theirs
    spent.machine = machine_seconds() - machine


def _tree_seconds(roots: Sequence[psutil.Process]) -> float:
    """Of these, of those that they have started, and of those of these that have ended."""
    total = 0.0
    for root in roots:
        for process in (root, *root.children(recursive=True)):
            total += _ever(process)
    return total


def _ever(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return cpu_seconds([process]) + float(times.children_user + times.children_system)
