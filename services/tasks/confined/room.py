"""The worker's side of a confined program: started for one work, fed, bounded, and never left behind."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from services.tasks.confined import frames
from services.tasks.confined.ends import End, Refused
from services.tasks.confined.limits import Limits
from services.tasks.errors import PermanentFailure
from shared.errors import ServiceError, StorageFull, Unavailable

_log = logging.getLogger("tasks.confined")
_PROJECT: Final = Path(__file__).resolve().parents[3]
# Nothing of ours: what reads a stranger's file holds no secret. One thread, memory as it is used.
_ENVIRONMENT: Final = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUTF8": "1",
    "MALLOC_ARENA_MAX": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_BY_KERNEL: Final = {-signal.SIGKILL: End.KILLED, -signal.SIGXCPU: End.TIME, -signal.SIGXFSZ: End.SIZE}
_ENDING_SECONDS: Final = 5.0
_KILLED: Final = "The program that reads and writes files was killed; memory may have been short."


@dataclass(frozen=True, slots=True)
class Room:
    """What is done inside, what it may have, and what the ends are called that are the work's own."""

    module: str
    limits: Limits
    ends: Mapping[End, Refused]

    def failure(self, end: End, about: str = "") -> PermanentFailure | ServiceError:
        """What to raise for `end`; `about` begins what is said."""
        match end:
            case End.FULL:
                return StorageFull("tasks")
            case End.KILLED:
                return Unavailable("tasks", detail=_KILLED)
            case _:
                refused = self.ends[end]
                return PermanentFailure(refused.code, f"{about}{refused.detail}")


class Program:
    """One run of it. Raises PermanentFailure for what it refuses and when it dies of it, StorageFull for a full disk.

    Where memory is short the system kills it, whosever it is: that says nothing of its work, and is Unavailable.
    """

    def __init__(self, process: Process, room: Room, about: str) -> None:
        self._process, self._room, self._about = process, room, about

    async def send(self, body: bytes) -> None:
        """Hand over what it is to take next."""
        await self._put(frames.encoded(frames.DATA, body))

    async def end(self) -> None:
        """There is no more to come."""
        await self._put(frames.encoded(frames.END))

    async def _put(self, frame: bytes) -> None:
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - opened with a pipe
        with contextlib.suppress(ConnectionError, RuntimeError):  # it died: what it said last, or did not, tells why
            stdin.write(frame)
            await stdin.drain()

    async def receive(self) -> bytes | None:
        """What it says next; None once it has done all."""
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - opened with a pipe
        try:
            kind, length = frames.head_of(await stdout.readexactly(frames.HEAD_BYTES))
            if length > frames.MOST_BYTES:
                raise self._failure(End.SIZE)
            body = await stdout.readexactly(length)
        except asyncio.IncompleteReadError as error:
            status = await self._process.wait()
            raise self._failure(_BY_KERNEL.get(status, End.CRASH), f"status {status}") from error
        match kind:
            case frames.DATA:
                return body
            case frames.END:
                return None
            case frames.REFUSED:
                refused = frames.told(body)
                raise PermanentFailure(refused["code"], refused["detail"])
            case _:
                ended = frames.told(body)
                raise self._failure(End(ended["end"]), ended["cause"])

    async def receive_json(self) -> Any:
        """The same, parsed."""
        body = await self.receive()
        return None if body is None else orjson.loads(body)

    def _failure(self, end: End, cause: str = "") -> PermanentFailure | ServiceError:
        fields = {"module": self._room.module, "end": end, "cause": cause}
        _log.warning("a confined program ended its work", extra={"fields": fields})
        return self._room.failure(end, self._about)


@asynccontextmanager
async def running(room: Room, *, about: str = "", files: Sequence[int] = ()) -> AsyncIterator[Program]:
    """The program, through the block, with the open `files` and no other; killed at its end, whatever it does then.

    `about` begins what is said of its death.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.tasks.confined", room.module, orjson.dumps(asdict(room.limits)).decode()),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd=_PROJECT,
        env=_ENVIRONMENT,
        pass_fds=files,
        start_new_session=True,  # a signal to our group is ours to answer
    )
    try:
        yield Program(process, room, about)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its session: with whatever it may have started
        with contextlib.suppress(TimeoutError):  # what has left the session may hold the pipe for ever
            async with asyncio.timeout(_ENDING_SECONDS):
                await (
                    process.communicate()
                )  # to the end of what it had said: a pipe with something in it is never closed
