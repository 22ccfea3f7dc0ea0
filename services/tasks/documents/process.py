"""Documents read in a process of their own: bounded in time, memory and output, and dead without harm to the worker."""

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from services.tasks.documents.blocks import Block, DocumentType, decoded
from services.tasks.documents.bounds import AT_ONCE, OUTPUT_BYTES, SECONDS
from services.tasks.documents.failures import FAILURES, Crashed, DocumentFailure, TooLarge, TooSlow
from services.tasks.errors import PermanentFailure
from shared.errors import Unavailable
from shared.limits import Turns

_log = logging.getLogger("tasks.documents")
_PROJECT: Final = Path(__file__).resolve().parents[3]
_LAST_BYTES: Final = 4096
_WAITING: Final = 2000  # more than a worker has slots
_TURNS: Final = Turns(AT_ONCE, waiting=_WAITING, per_source=_WAITING)
_BY_KERNEL: Final = {-signal.SIGXCPU: TooSlow, -signal.SIGXFSZ: TooLarge}


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

    Raises a PermanentFailure that names the document which cannot be read, Unavailable where the process was killed, as
    it may be where memory is short. The process is gone when this returns, however it ends.
    """
    with await asyncio.to_thread(out.open, "wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.tasks.documents"),
            *(argument for job in jobs for argument in (job.stated.value, str(job.path))),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=_PROJECT,
            env={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"},  # and none of our secrets
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        raise _permanent(TooSlow(), jobs) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if (failure := await asyncio.to_thread(_failure_in, jobs, out, process.returncode)) is not None:
        raise failure


def blocks_in(out: Path) -> Iterator[tuple[int, Block]]:
    """What was read, each block with the number of its document among the jobs."""
    with out.open("rb") as lines:
        for line in lines:
            if line.startswith(b"["):
                yield decoded(line)


def _failure_in(jobs: Sequence[Job], out: Path, ended_with: int | None) -> PermanentFailure | Unavailable | None:
    end = _end_of(out)
    if ended_with == 0 and "done" in end:
        return None
    if told := FAILURES.get(str(end.get("failure"))):
        return _permanent(told(str(end["detail"])), jobs[int(end["document"]) :][:1])
    _log.warning("the process that reads documents ended", extra={"fields": {"status": ended_with}})
    if out.stat().st_size >= OUTPUT_BYTES:
        return _permanent(TooLarge(), jobs)
    if ended_with == -signal.SIGKILL:
        return Unavailable("tasks", detail="The process that reads documents was killed; memory may have been short.")
    return _permanent(_BY_KERNEL.get(ended_with or 0, Crashed)(), jobs)


def _end_of(out: Path) -> dict[str, Any]:
    """The last line, where it is one that says how it ended."""
    with out.open("rb") as file:
        file.seek(max(0, out.stat().st_size - _LAST_BYTES))
        last = file.read().rstrip(b"\n").rsplit(b"\n", 1)[-1]
    try:
        told = orjson.loads(last)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _permanent(failure: DocumentFailure, jobs: Sequence[Job]) -> PermanentFailure:
    name = f"{jobs[0].name}: " if len(jobs) == 1 else ""
    return PermanentFailure(failure.code, f"{name}{failure.detail}")
