"""Documents read by a confined program: bounded in time, memory and output, and dead without harm to the worker."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from services.tasks.confined.ends import End
from services.tasks.confined.limits import Limits
from services.tasks.confined.room import Program, Room, running
from services.tasks.disk import append
from services.tasks.documents.blocks import Block, DocumentType, decoded
from services.tasks.documents.bounds import AT_ONCE, CPU_SECONDS, MEMORY_BYTES, OUTPUT_BYTES, SECONDS
from services.tasks.documents.failures import Crashed, TooLarge, TooSlow
from shared.errors import Unavailable
from shared.limits import Turns

_WAITING: Final = 2000  # more than a worker has slots
_TURNS: Final = Turns(AT_ONCE, waiting=_WAITING, per_source=_WAITING)
ROOM: Final = Room(
    "services.tasks.documents.inside",
    Limits(MEMORY_BYTES, CPU_SECONDS),
    {End.MEMORY: TooLarge(), End.TIME: TooSlow(), End.SIZE: TooLarge(), End.CRASH: Crashed()},
)


@dataclass(frozen=True, slots=True)
class Job:
    """A document to read; `name` is what its owner calls it."""

    name: str
    stated: DocumentType
    path: Path


def turn(tenant_id: str) -> AbstractAsyncContextManager[None]:
    """A place for one document through the block; tenants take turns. Raises Unavailable when too many wait."""
    return _TURNS.turn(tenant_id, lambda: Unavailable("tasks", detail="Too many documents wait to be read."))


async def read(jobs: Sequence[Job], out: Path, *, seconds: float = SECONDS) -> None:
    """Have `jobs` read, in their order, into the new file `out`; what is there then is for `blocks_in`.

    Raises a PermanentFailure that names the document which cannot be read, StorageFull for a full disk, Unavailable
    where the program was killed, as it may be where memory is short. It is gone when this returns, however it ends.
    """
    about = f"{jobs[0].name}: " if len(jobs) == 1 else ""
    try:
        async with asyncio.timeout(seconds), running(ROOM, about=about) as program:
            await program.send(orjson.dumps([(job.name, job.stated, str(job.path)) for job in jobs]))
            await _keep(program, out, about)
    except TimeoutError:
        raise ROOM.failure(End.TIME, about) from None


async def _keep(program: Program, out: Path, about: str) -> None:
    """What it says, on the disk: its place is free again long before all of it is embedded."""
    left, lines = OUTPUT_BYTES, b""
    while True:
        await asyncio.to_thread(append, out, lines)
        if (said := await program.receive()) is None:
            return
        lines, left = said, left - len(said)
        if left < 0:
            raise ROOM.failure(End.SIZE, about)


def blocks_in(out: Path) -> Iterator[tuple[int, Block]]:
    """What was read, each block with the number of its document among the jobs."""
    with out.open("rb") as lines:
        for line in lines:
            yield decoded(line)
